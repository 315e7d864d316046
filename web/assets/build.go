//go:build generate

// Command build bundles css and js, with htmx from node_modules, into dist. It runs under
// go generate, in the folder of package assets.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

const modules = "../../node_modules"

func main() {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build() error {
	if _, err := os.Stat(filepath.Join(modules, "htmx.org")); err != nil {
		return errors.New("the npm packages are missing: run \"npm ci --ignore-scripts\" in the project's root first")
	}
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{"js/app.js", "css/app.css", "icons/icon.svg"},
		Outdir:      "dist", EntryNames: "[name]",
		Bundle: true, Write: true, Format: api.FormatIIFE, Target: api.ES2022,
		// The tokens' light-dark() and nesting stay as they are written.
		Engines:          []api.Engine{{Name: api.EngineChrome, Version: "123"}, {Name: api.EngineFirefox, Version: "120"}, {Name: api.EngineSafari, Version: "17.5"}},
		Loader:           map[string]api.Loader{".svg": api.LoaderCopy},
		MinifyWhitespace: true, MinifySyntax: true, MinifyIdentifiers: true,
		LegalComments: api.LegalCommentsEndOfFile,
		LogLevel:      api.LogLevelWarning,
	})
	if len(result.Errors) > 0 {
		return fmt.Errorf("%d faults in css or js", len(result.Errors))
	}
	return nil
}
