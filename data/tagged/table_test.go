package tagged

import (
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

// kaggle is the layout of Kaggle's ner_dataset.csv.
const kaggle = "Sentence #,Word,POS,Tag\nSentence: 1,Ann,NNP,B-per\n,said,VBD,O\n,\"\"\"\",``,O\n" +
	"Sentence: 2,\"a, b\",NN,O\nSentence: 3,Bob,NNP,B-per\n,,NN,O\n"

// TestTable reads CSV and TSV with a word in every row.
func TestTable(t *testing.T) {
	tests := []struct {
		name, file, content string
		options             Options
		want                []string
	}{
		{"names at first words", "f.csv", kaggle, Options{}, []string{"Ann/B-per said/O \"/O", "a, b/O", "Bob/B-per /O"}},
		{"other tags", "f.csv", kaggle, Options{TagsColumn: "POS"}, []string{"Ann/NNP said/VBD \"/``", "a, b/NN",
			"Bob/NNP /NN"}},
		{"a byte order mark", "f.csv", "\uFEFFsent,word,tag\r\n1,a,O\r\n1,b,X\r\n", Options{}, []string{"a/O b/X"}},
		{"limited", "f.csv", kaggle, Options{MaxSamples: 2}, []string{"Ann/B-per said/O \"/O", "a, b/O"}},
		{"without tags", "f.csv", kaggle, Options{NoLabels: true}, []string{"Ann said \"", "a, b", "Bob "}},
		{"names at all words", "f.csv", "sentence_idx,word,tag\n1,a,O\n1,b,X\n2,c,O\n", Options{},
			[]string{"a/O b/X", "c/O"}},
		{"the same name at first words", "f.csv", "sentence,word,tag\ns,a,O\n,b,X\ns,c,O\n,d,O\n", Options{},
			[]string{"a/O b/X", "c/O d/O"}},
		{"tabs", "f.tsv", "token\tner_tags\tsent_id\na\tO\t1\nb\tX\t1\n\nc\tO\t2\n", Options{}, []string{"a/O b/X", "c/O"}},
		{"quotes are words", "f.tsv", "sent\ttoken\tner\n1\t\"\tO\n1\tb\tO\n", Options{NoQuotes: true}, []string{"\"/O b/O"}},
		{"semicolons", "f.csv", "Sentence;Word;Tag\n1;a;O\n1;b;X\n", Options{Delimiter: ';'}, []string{"a/O b/X"}},
		{"given columns", "f.csv", "doc,w,t\n1,a,O\n1,b,X\n",
			Options{SentenceColumn: "doc", TokensColumn: "w", TagsColumn: "t"}, []string{"a/O b/X"}},
		{"given format", "f.dat", "sent,word,pos\n1,a,O\n", Options{Format: data.CSV}, []string{"a/O"}},
		{"tags win over parts of speech", "f.csv", "sent,word,pos,ner\n1,a,NN,O\n", Options{}, []string{"a/O"}},
		{"no tags to predict", "f.csv", "sent,word\n1,a\n1,b\n", Options{OptionalLabels: true}, []string{"a b"}},
		{"a sentence without tags", "f.csv", "sent,word,tag\n1,a,\n1,b,\n2,c,O\n", Options{OptionalLabels: true},
			[]string{"a b", "c/O"}},
		{"CoNLL with commas", "f.csv", "a,O\nb,X\n", Options{Delimiter: ','}, []string{"a/O b/X"}},
		{"CoNLL by its format", "f.tsv", "a\tO\n\nb\tX\n", Options{Format: CoNLL}, []string{"a/O", "b/X"}},
	}
	for _, tt := range tests {
		table := readTokens(t, tt.file, tt.content, tt.options)
		if got := tagged(table); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	f := readTokens(t, "f.csv", kaggle, Options{})
	if f.Columns != (Columns{Tokens: "Word", Tags: "Tag", Sentence: "Sentence #"}) || f.Format != data.CSV ||
		f.At(1).Line != 5 || len(f.RowWarnings()) > 0 {
		t.Errorf("%+v, %v", f, f.RowWarnings())
	}
	f = readTokens(t, "f.csv", "sent,word,tag\n1,a,O\n2,b,O\n1,c,O\n", Options{})
	if got := Warnings(nil, f, nil, nil); len(got) != 1 || !strings.HasPrefix(got[0].String(),
		"f.csv:4: 1 sentence with the name of an earlier one in column sent") {
		t.Error(got)
	}
}

// TestBadTable holds the message for broken tables of words.
func TestBadTable(t *testing.T) {
	for _, tt := range []struct {
		name, file, content string
		options             Options
		want                string
	}{
		{"no sentence", "f.csv", "word,tag\na,O\n", Options{}, "f.csv has no column with a name that is known for the " +
			"number of the sentence (sentence #, "},
		{"no sentence, given format", "f.csv", "word,tag\na,O\n", Options{Format: data.CSV},
			"f.csv:1: no column has a name that is known for the number of the sentence"},
		{"wrong sentence", "f.csv", "s,word,tag\n1,a,O\n", Options{SentenceColumn: "x"},
			`f.csv:1: ` + "`sentence_column`" + `: there is no column "x"`},
		{"no words", "f.csv", "Sentence #,Sentence,Tag\n1,a b,O O\n", Options{},
			`the number of the sentence may be in "Sentence #" or "Sentence"; say which with`},
		{"no words either", "f.csv", "Sentence #,W,Tag\n1,a,O\n", Options{}, "known for words (word, token, "},
		{"no tags", "f.csv", "sent,word\n1,a\n", Options{}, "f.csv:1: no column has a name that is known for tags (tag, "},
		{"two tags", "f.csv", "sent,word,tag,label\n1,a,O,O\n", Options{}, `tags may be in "tag" or "label"`},
		{"the same twice", "f.csv", "sent,word,tag\n1,a,O\n", Options{TagsColumn: "word"}, "are the same"},
		{"a first word without a sentence", "f.csv", "sent,word,tag\n,a,O\n", Options{},
			"f.csv:2: the first word has no sentence (column sent is empty)"},
		{"no tag", "f.csv", "sent,word,tag\n1,a,O\n1,b,\n", Options{}, `f.csv:3: the word "b" has no tag (column tag is "")`},
		{"fewer fields", "f.csv", "sent,word,tag\n1,a\n", Options{}, "f.csv:2: the row has 2 fields, but the header has 3"},
		{"nothing below the header", "f.csv", "sent,word,tag\n", Options{}, "the file has no sentences"},
		{"JSON", "f.jsonl", `{"tokens":["a"],"tags":["O"]}`, Options{SentenceColumn: "x"},
			"`sentence_column` has no meaning for f.jsonl"},
		{"CoNLL", "f.conll", "a O\n", Options{NoQuotes: true}, "`no_quotes` has no meaning for f.conll"},
	} {
		_, err := ReadBytes([]byte(tt.content), tt.file, tt.options)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}
