package chdb

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

var (
	//go:embed config.xml
	configText string
	//go:embed users.xml
	usersText string

	configs = map[string]*template.Template{
		"config.xml": template.Must(template.New("config").Parse(configText)),
		"users.xml":  template.Must(template.New("users").Parse(usersText)),
	}
)

// writeConfig writes ClickHouse's configuration into the boot folder.
func writeConfig(o Options, boot, password string, port int) error {
	hash := sha256.Sum256([]byte(password))
	data := struct {
		Dir, Boot, User, Hash  string
		Port                   int
		MaxMemory, QueryMemory int64
	}{
		Dir: escape(o.Dir), Boot: escape(boot), User: User, Hash: hex.EncodeToString(hash[:]),
		Port: port, MaxMemory: o.MaxMemory, QueryMemory: o.MaxMemory / 4 * 3,
	}
	for name, t := range configs {
		var b bytes.Buffer
		if err := t.Execute(&b, data); err != nil {
			return fmt.Errorf("render %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(boot, name), b.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write the engine's configuration: %w", err)
		}
	}
	return nil
}

func escape(path string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(path)) // a bytes.Buffer takes everything
	return b.String()
}
