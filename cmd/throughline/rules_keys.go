package main

import (
	"errors"
	"io/fs"
	"path/filepath"

	"throughline/flows"
)

// keysName is the file in config_dir that defines key types.
const keysName = "keys.yaml"

// keysFile is that file. After a change for the worse its last good version runs on.
type keysFile struct {
	watchedFile
	faults []flows.Fault
	good   *flows.Keys // nil where there is no file
}

// look reads the file as it stands; open says that something waits for the next look.
func (k *keysFile) look(configDir string, atOnce bool) (open bool) {
	text, err := readFlowFile(filepath.Join(configDir, keysName))
	if errors.Is(err, fs.ErrNotExist) {
		if k.text == nil && k.seen == nil && k.faults == nil {
			return false
		}
		gone, open := k.missed(atOnce)
		if gone {
			*k = keysFile{}
		}
		return open
	}
	k.gone = false
	taken, open := k.watchedFile.look(text, err, atOnce)
	switch {
	case !taken:
	case err != nil:
		k.faults = []flows.Fault{unreadable(keysName, err)}
	default:
		var keys *flows.Keys
		if keys, k.faults = flows.ParseKeys(keysName, text); keys != nil {
			k.good = keys
		}
	}
	return open
}
