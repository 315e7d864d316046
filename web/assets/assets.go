// Package assets serves the style sheet, the script and the icon of the pages. They are
// bundled from css, js and the npm packages by go generate and embedded: a binary needs no
// folder beside it.
package assets

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:generate go run build.go

// Prefix is the path that Handler serves below.
const Prefix = "/assets/"

// Names of the assets, for URL.
const (
	CSS  = "app.css"
	JS   = "app.js"
	Icon = "icon.svg"
)

//go:embed all:dist
var dist embed.FS

type asset struct {
	body        []byte
	contentType string
	url         string
	etag        string
}

var (
	byName = load()
	byURL  = index(byName)
)

func load() map[string]asset {
	found := make(map[string]asset)
	for _, name := range []string{CSS, JS, Icon} {
		body, err := fs.ReadFile(dist, "dist/"+name)
		if err != nil {
			continue // not built: Check says so
		}
		sum := sha256.Sum256(body)
		hash := base64.RawURLEncoding.EncodeToString(sum[:9])
		ext := path.Ext(name)
		found[name] = asset{
			body: body, contentType: mime.TypeByExtension(ext), etag: `"` + hash + `"`,
			url: Prefix + strings.TrimSuffix(name, ext) + "." + hash + ext,
		}
	}
	return found
}

func index(named map[string]asset) map[string]asset {
	urls := make(map[string]asset, len(named))
	for _, a := range named {
		urls[a.url] = a
	}
	return urls
}

// Check says what to run where the assets were not built before the binary.
func Check() error {
	for _, name := range []string{CSS, JS, Icon} {
		if _, ok := byName[name]; !ok {
			return fmt.Errorf("the web assets are not built (%s is missing): run \"make assets\", or \"npm ci && go generate ./web/assets\", and build again", name)
		}
	}
	return nil
}

// URL is where an asset is served: its name changes with its content, so that browsers keep
// it for good. An asset that was not built has the URL of its plain name, which answers what
// to run.
func URL(name string) string {
	if a, ok := byName[name]; ok {
		return a.url
	}
	return Prefix + name
}

// Handler serves the assets below Prefix.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, current := byURL[r.URL.Path]
		if !current {
			var ok bool
			if a, ok = byName[unhashed(r.URL.Path)]; !ok {
				missing(w)
				return
			}
		}
		w.Header().Set("Content-Type", a.contentType)
		w.Header().Set("ETag", a.etag)
		w.Header().Set("Cache-Control", "no-cache")
		if current {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
	})
}

// unhashed is the asset that a path means: a page from before an update still asks for the
// old hash, and gets the new content.
func unhashed(urlPath string) string {
	name := strings.TrimPrefix(urlPath, Prefix)
	ext := path.Ext(name)
	stem, _, _ := strings.Cut(strings.TrimSuffix(name, ext), ".")
	return stem + ext
}

func missing(w http.ResponseWriter) {
	if err := Check(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "There is no such asset.", http.StatusNotFound)
}
