package data_test

import (
	"fmt"
	"testing"

	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/data/text"
)

// hashed is a file of any kind.
type hashed[F any] interface {
	SplitOff(fraction float64, seed uint64) (rest, held F, err error)
	Hash() string
}

// hashes appends the hash of a file and those of the parts that it is split into.
func hashes[F hashed[F]](t *testing.T, list *[]string, f F, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	rest, held, err := f.SplitOff(0.4, 7)
	if err != nil {
		t.Fatal(err)
	}
	*list = append(*list, f.Hash()[:16], rest.Hash()[:16], held.Hash()[:16])
}

// Hashes are compared and splits repeated when a run is resumed, also by a later version: these must never change.
func TestHashesAndSplitsAreFixed(t *testing.T) {
	var got []string
	texts, err := text.ReadBytes([]byte("sentence1,sentence2,label\na,b,x\nc,,y\nd,e,x\nf,g,y\nh,i,x\n"), "f.csv",
		text.Options{})
	hashes(t, &got, texts, err)
	rest, held, err := texts.SplitClasses(0.4, 7)
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, rest.Hash()[:16], held.Hash()[:16])
	labels := `{"text":"a","label":"x"}` + "\n" + `{"text":"é","label":3}` + "\n" + `{"text":"","label":-1.5}` + "\n" +
		`{"text":"b","label":["x","y"]}` + "\n" + `{"text":"c"}` + "\n"
	texts, err = text.ReadBytes([]byte(labels), "f.jsonl", text.Options{OptionalLabels: true})
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, texts.Hash()[:16])
	words := `{"tokens":["a","bc"],"tags":["O","B-X"]}` + "\n" + `{"tokens":["d"]}` + "\n" + `{"tokens":[],"tags":[]}` +
		"\n" +
		`{"tokens":["é","f"],"tags":["I-X","O"]}` + "\n"
	tags, err := tagged.ReadBytes([]byte(words), "f.jsonl", tagged.Options{OptionalLabels: true})
	hashes(t, &got, tags, err)
	rows := ""
	for i := range 6 {
		rows += fmt.Sprintf(`{"question":"q%d","context":"the `+
			`c%d","answers":{"text":["c%d","the"],"answer_start":[4,9]}}`+"\n",
			i, i/2, i/2)
	}
	rows += `{"question":"n","context":"x","answers":[]}` + "\n" + `{"question":"u","context":"x"}`
	questions, err := question.ReadBytes([]byte(rows), "f.jsonl", question.Options{OptionalLabels: true})
	hashes(t, &got, questions, err)
	rows = `{"context":"c","question":"q","choices":["a","b"],"label":1}` + "\n" +
		`{"context":"c","choices":["a","b","é"]}` + "\n" +
		`{"question":"q","choices":["a","b"],"label":0}` + "\n" + `{"question":"r","choices":["a","b"],"label":0}` + "\n"
	choices, err := choice.ReadBytes([]byte(rows), "f.jsonl", choice.Options{OptionalLabels: true})
	hashes(t, &got, choices, err)
	documents, err := document.ReadBytes([]byte("one\ntwo é\nthree\nfour\n"), "f.txt", document.Options{})
	hashes(t, &got, documents, err)
	prompts := []byte("prompt,completion\na,b\nc,\nd,e\nf,g\nh,i\n")
	documents, err = document.ReadBytes(prompts, "f.csv", document.Options{})
	hashes(t, &got, documents, err)
	chat := `{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}]}`
	documents, err = document.ReadBytes([]byte(chat), "f.jsonl", document.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, documents.Hash()[:16])
	lines := "source,target\n"
	for i := range 6 {
		lines += fmt.Sprintf("s%d,t%d\n", i/2, i)
	}
	pairs, err := pair.ReadBytes([]byte(lines+"é,\n"), "f.csv", pair.Options{OptionalLabels: true})
	hashes(t, &got, pairs, err)
	want := []string{
		"5a5cda405bc5ffe6", "d58309121b496da6", "f226f878428cb3a8", // pairs of texts
		"d58309121b496da6", "f226f878428cb3a8", // split by class
		"39b693261520e1fb",                                         // labels
		"20a67798878ac385", "f5c13129d273fbc8", "0dfbeb6f6aebba95", // tagged sentences
		"dbe477da558a24fe", "7ec2e171a8157a19", "e6c7e9c3fd2e870b", // questions
		"2a525c525c09a1a8", "8bc198bb86c38d83", "b332b2338392d0a1", // choices
		"b9d2fba8cab21381", "688d84fbe2844429", "ae155fb48e844271", // a document
		"02dacdec0365940f", "0ebadbe6146bb5f7", "ed344b567de3bc9a", // prompts
		"cc9d071c54fd8c42",                                         // a chat
		"498a3bcebc8242b5", "95099d6846740428", "585d92a6789f571a", // pairs of sources and targets
	}
	if len(got) != len(want) {
		t.Fatalf("%d hashes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("hash %d is %s, want %s", i, got[i], want[i])
		}
	}
}
