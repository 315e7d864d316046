package flows

import "strings"

// environmentMark stands between key and environment. No key has that character.
const environmentMark = "\x1f"

// InstanceKey is what instances of a flow are told apart and stored by: the primary key,
// and behind it its environment where that is not the default one, "".
func InstanceKey(key, environment string) string {
	if environment == "" {
		return key
	}
	return key + environmentMark + environment
}

// SplitInstanceKey takes apart what InstanceKey made.
func SplitInstanceKey(stored string) (key, environment string) {
	key, environment, _ = strings.Cut(stored, environmentMark)
	return key, environment
}
