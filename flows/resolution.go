package flows

// Resolution is the signal by which a person says that an instance was fixed by hand. id
// is unique among all resolutions. What is resolved is the instance of its key that is
// the last at that time.
func (f *Flow) Resolution(r *InstanceRecord, note, id string, at Time) Signal {
	key := r.Key
	if f.Reopen {
		key, _ = PartOf(key)
	}
	return Signal{
		Environment: r.Environment,
		Kind:        Event, Source: ResolvedSource, ID: id, Name: ResolvedName, System: ResolvedSource, Time: at, Received: at,
		Data: map[string]any{"flow": f.Name, "key_type": f.Key, "key": key, "note": note},
		Keys: []Key{{f.Key, key}},
	}
}

// resolvedKeys are the keys of a resolution, which carries its key in its normal form and
// not where key types are found.
func resolvedKeys(sig *Signal) (keys []Key, ok bool) {
	if sig.Kind != Event || sig.Name != ResolvedName || sig.Source != ResolvedSource {
		return nil, false
	}
	typ, value := stringOf(sig.Field("key_type")), stringOf(sig.Field("key"))
	if typ == "" || value == "" || len(value) > MaxKeyBytes {
		return nil, true
	}
	return []Key{{typ, value}}, true
}

// stringOf is a value that is a string; "" for any other, and for none.
func stringOf(v any, _ bool) string {
	s, _ := v.(string)
	return s
}
