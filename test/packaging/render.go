// render - a Helm chart's templates as YAML documents, with Go's own text/template and those
// functions that our chart uses: for test_containers.py, where there is no helm.
// usage: go run render.go TEMPLATES-FOLDER < values.json     (all that templates see, as one object)
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/template"
)

func main() {
	var data map[string]interface{}
	check(json.NewDecoder(os.Stdin).Decode(&data))
	t := template.New("").Option("missingkey=error")
	t.Funcs(template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			var out bytes.Buffer
			err := t.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"kindIs": func(kind string, v interface{}) bool { return fmt.Sprintf("%T", v) == kind },
		"toJson": toJSON,
		"toYaml": toYAML,
		"nindent": func(n int, s string) string {
			pad := strings.Repeat(" ", n)
			return "\n" + pad + strings.ReplaceAll(s, "\n", "\n"+pad)
		},
		"quote":      func(v interface{}) string { return strconv.Quote(fmt.Sprint(v)) },
		"trimSuffix": func(suffix, s string) string { return strings.TrimSuffix(s, suffix) },
		"sha256sum":  func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) },
		"trunc": func(n int, s string) string {
			if len(s) > n {
				return s[:n]
			}
			return s
		},
		"default": func(def, v interface{}) interface{} {
			if v == nil || v == "" {
				return def
			}
			return v
		},
	})
	files, err := filepath.Glob(os.Args[1] + "/*")
	check(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(err)
		template.Must(t.New("templates/" + filepath.Base(file)).Parse(string(text)))
	}
	for _, file := range files {
		if filepath.Ext(file) == ".yaml" {
			fmt.Println("---")
			check(t.ExecuteTemplate(os.Stdout, "templates/"+filepath.Base(file), data))
		}
	}
}

func toJSON(v interface{}) (string, error) {
	out, err := json.Marshal(v)
	return string(out), err
}

// JSON is YAML, too; but an object or array may stand below other keys or items.
func toYAML(v interface{}) (string, error) {
	var lines []string
	switch v := v.(type) {
	case map[string]interface{}:
		for key, value := range v {
			text, err := toJSON(value)
			if err != nil {
				return "", err
			}
			lines = append(lines, strconv.Quote(key)+": "+text)
		}
		sort.Strings(lines)
	case []interface{}:
		for _, value := range v {
			text, err := toJSON(value)
			if err != nil {
				return "", err
			}
			lines = append(lines, "- "+text)
		}
	default:
		return toJSON(v)
	}
	return strings.Join(lines, "\n"), nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
