package tokenize

import (
	"compress/bzip2"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The fixtures of these tests are written by reference/unigram_fixtures.py.

func loadUnigram(t testing.TB) (fixtures, []string) {
	t.Helper()
	return readFixtures(t, "testdata/unigram_cases.json", "testdata/strings.json.gz", "testdata/bpe_strings.json.gz")
}

// unigramCase loads the tokenizer of a case.
func unigramCase(t testing.TB, name string) *Tokenizer {
	t.Helper()
	f, _ := loadUnigram(t)
	i := slices.IndexFunc(f.Cases, func(c fixtureCase) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no case %q", name)
	}
	return loadPatched(t, f.Cases[i].File, f.Cases[i].Patch)
}

// charsMapOf returns the precompiled_charsmap that the fixtures call "@" + name.
func charsMapOf(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open("testdata/unigram_" + name + ".bin.bz2")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// withCharsMaps replaces the names of tables in a JSON value by the tables.
func withCharsMaps(t testing.TB, v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withCharsMaps(t, v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = withCharsMaps(t, v[key])
		}
		if s, ok := v["precompiled_charsmap"].(string); ok && strings.HasPrefix(s, "@") {
			v["precompiled_charsmap"] = charsMapOf(t, s[1:])
		}
	}
	return v
}

// TestUnigramPipelines checks what the models see of each text, as TestBPEPipelines.
func TestUnigramPipelines(t *testing.T) {
	f, texts := loadUnigram(t)
	for _, c := range f.Pipelines {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			checkPipeline(t, c, texts)
		})
	}
}

// TestUnigramParity checks whole tokenizers, as TestParity; in some every code
// point.
func TestUnigramParity(t *testing.T) {
	f, texts := loadUnigram(t)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tok := loadPatched(t, c.File, c.Patch)
			if c.Points != "" {
				checkPoints(t, c.Name, c.Points, tok)
			}
			checkCase(t, c, tok, texts, 32)
		})
	}
}

// patchUnigram changes a vocabulary as "model" of a case's patch says.
func patchUnigram(vocab []any, what string, value any) {
	for _, v := range vocab {
		pair := v.([]any)
		switch score, _ := pair[1].(json.Number).Float64(); {
		case what == "drop" && slices.Contains(value.([]any), pair[0]):
			pair[0] = "dropped " + pair[0].(string)
		case value == "rounded":
			pair[1] = json.Number(strconv.Itoa(int(math.RoundToEven(score))))
		case value == "positive":
			pair[1] = json.Number(strconv.FormatFloat(score+20, 'g', -1, 64))
		}
	}
}
