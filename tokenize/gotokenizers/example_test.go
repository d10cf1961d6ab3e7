package gotokenizers_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/nlpodyssey/gotokenizers/models/wordpiecemodel"
	"github.com/nlpodyssey/gotokenizers/normalizedstring"
	"github.com/nlpodyssey/gotokenizers/normalizers/lowercasenormalizer"
	"github.com/nlpodyssey/gotokenizers/pretokenizedstring"
	"github.com/nlpodyssey/gotokenizers/pretokenizers/whitespacesplitpretokenizer"
	"github.com/nlpodyssey/gotokenizers/vocabulary"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/tokenize/gotokenizers"
)

// check ends an example on an error.
func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A program with a pipeline of gotokenizers fine-tunes a classifier, here a tiny one without tokenizer files, and
// predicts with it.
func ExampleNew() {
	v := vocabulary.NewVocabulary()
	for _, token := range []string{
		"[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "soup", "was", "good", "warm", "bad", "cold", "##er",
	} {
		v.AddTerm(token)
	}
	tok, err := gotokenizers.New(gotokenizers.Pipeline{
		Normalizer:   lowercasenormalizer.NewLowerCaseNormalizer(),
		PreTokenizer: whitespacesplitpretokenizer.New(),
		Model:        wordpiecemodel.New(v, "[UNK]", "##", 100),
		Vocabulary:   v,
	}, tokenize.Custom{
		Name:     "soup",
		Added:    []tokenize.AddedToken{{Content: "[CLS]", Special: true}, {Content: "[SEP]", Special: true}},
		PadToken: "[PAD]", UnkToken: "[UNK]", ClsToken: "[CLS]", SepToken: "[SEP]",
		Single: "[CLS] $A [SEP]", Pair: "[CLS] $A [SEP] $B:1 [SEP]:1",
		Decoder: tokenize.DecodeWordPiece("##", true),
	})
	check(err)
	e, err := tok.Encode("The COLDER soup", tokenize.Options{Offsets: true})
	check(err)
	fmt.Println(e.IDs, e.Offsets, tok.Decode(e.IDs, true))

	const model = "../../testdata/encoder/bert_features/base"
	rows, err := text.ReadBytes([]byte("text,label\ngood soup,good\nbad soup,bad\nthe soup was warm,good\n"+
		"the soup was cold,bad\nwarm,good\ncold,bad\n"), "soup.csv", text.Options{})
	check(err)
	temp, err := os.MkdirTemp("", "soup")
	check(err)
	defer os.RemoveAll(temp)
	dir := filepath.Join(temp, "adapter")
	ctx := context.Background()
	_, err = spalora.Finetune(ctx, &spalora.SeqCls{Train: rows, Run: spalora.Run{
		Model: model, CustomTokenizer: tok, OutputDir: dir, NumTrainEpochs: 40, BatchSize: 6, LearningRate: new(0.02),
	}})
	check(err)

	m, err := spalora.Open(dir, spalora.WithBase(model), spalora.WithTokenizer(tok))
	check(err)
	defer m.Close()
	classes, err := m.ClassifyAll(ctx, spalora.Texts("Good, warm soup", "cold"))
	check(err)
	fmt.Println(classes[0].Label, classes[1].Label)
	// Output:
	// [2 4 10 11 5 3] [[0 0] [0 3] [4 8] [8 10] [11 15] [0 0]] the colder soup
	// good bad
}

// A program of gotokenizers takes the parts of a checkpoint's tokenizer, all or some.
func ExamplePartsOf() {
	files := embedded.MiniLM()
	tok, err := tokenize.Load(func(name string) ([]byte, error) {
		if content, ok := files[name]; ok {
			return content, nil
		}
		return nil, os.ErrNotExist
	})
	check(err)
	p, err := gotokenizers.PartsOf(tok)
	check(err)

	ns := normalizedstring.FromString("Más café!")
	check(p.Normalizer.Normalize(ns))
	pts := pretokenizedstring.FromNormalizedString(ns)
	check(p.PreTokenizer.PreTokenize(pts))
	for _, word := range pts.GetOriginalByteSplits() {
		tokens, err := p.Model.Tokenize(word.String)
		check(err)
		for _, t := range tokens {
			fmt.Println(t.Value, t.ID, word.Offsets)
		}
	}
	id, ok := p.Vocabulary.GetID("coffee")
	fmt.Println(id, ok)
	// Output:
	// mas 16137 {0 4}
	// cafe 7668 {5 10}
	// ! 999 {10 11}
	// 4157 true
}
