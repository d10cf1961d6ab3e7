package pair_test

import (
	"fmt"

	"github.com/spalora/spalora/data/pair"
)

func Example() {
	content := []byte("en\tsv\nCall me later.\tRing mig senare.\nCall me later.\tRing mig sen.\nHe ran.\tHan sprang.\n")
	rows, err := pair.ReadBytes(content, "test.tsv", pair.Options{SourceLang: "en", TargetLang: "sv"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for p := range rows.GroupSources().Values() {
		fmt.Printf("line %d: %q, %d: %q\n", p.Line, p.Source, len(p.Targets), p.Targets)
	}
	// Output:
	// line 2: "Call me later.", 2: ["Ring mig senare." "Ring mig sen."]
	// line 4: "He ran.", 1: ["Han sprang."]
}
