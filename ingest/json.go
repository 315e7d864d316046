package ingest

// JSONShape measures JSON text without decoding it, so that a document made to hurt is
// refused before it costs memory. values is never less than the number of values in raw,
// and at most twice that; text that is no JSON gives any numbers.
func JSONShape(raw []byte) (values, depth int) {
	level := 0
	values = 1
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			values++
			level++
			depth = max(depth, level)
		case '}', ']':
			level--
		case ',':
			values++
		}
	}
	return values, depth
}
