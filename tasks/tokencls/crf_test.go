package tokencls

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// smallBases are checkpoints of each kind of model, below testdata.
var smallBases = map[string]string{
	"bert": "bert/save_pooler/base", "distilbert": "encoder/distilbert_token_cls/base",
	"gpt2": "causal_heads/gpt2_token_cls/base", "llama": "causal_heads/llama_token_cls/base",
}

// crfRun is a small model with a CRF and its task.
type crfRun struct {
	set  *lora.Set
	net  *models.Tagger
	task *Task
}

// openSmall opens a small checkpoint with a fresh adapter, and a CRF unless plain, for training on and evaluating
// table. change may change the configuration; forbidden are transitions to exclude.
func openSmall(
	t *testing.T, base string, table *tagged.File, plain bool, forbidden []bool, change func(*TaskConfig),
) crfRun {
	t.Helper()
	src, err := checkpoint.Open("../../testdata/" + base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	tok := letters(t)
	if strings.HasPrefix(base, "bert") {
		if tok, err = tokenize.Load(src.File); err != nil {
			t.Fatal(err)
		}
	}
	labels, err := tagged.FindLabels(data.LabelSource{}, table)
	if err != nil {
		t.Fatal(err)
	}
	net, _, err := models.OpenTagger(src, len(labels.Names), 1)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(net, 0)
	info, err := models.ReadInfo(src)
	if err != nil {
		t.Fatal(err)
	}
	targets, err := models.DefaultTargets(info.ModelType)
	if err != nil {
		t.Fatal(err)
	}
	c := lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names(targets...), TaskType: lora.TokenCls}
	var m models.TokenClassifier = net.TokenClassifier
	if !plain {
		m, c.ModulesToSave = net, []string{models.CRFModule}
	}
	set, err := lora.Attach(m, c, 1)
	if err != nil {
		t.Fatal(err)
	}
	if forbidden != nil {
		w := op.Values(net.CRF.Scores(set).Param)
		for i := range w {
			if forbidden[i] {
				w[i] = op.Forbidden
			}
		}
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	config := TaskConfig{Config: Config{
		CoreConfig: tasks.CoreConfig{Pool: pool, Adapter: set}, Labels: labels, Scheme: tagged.IOB2,
	}}
	if change != nil {
		change(&config)
	}
	task, err := NewTask(m, tok, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []batch.Split{batch.Train, batch.Test} {
		if err := task.Add(t.Context(), s, table); err != nil {
			t.Fatal(err)
		}
	}
	return crfRun{set, net, task}
}

// train runs steps of two sentences.
func (r crfRun) train(t *testing.T, steps int) {
	t.Helper()
	cfg := train.Defaults()
	cfg.MaxSteps, cfg.BatchSize, cfg.LearningRate, cfg.Pool, cfg.Adapter = steps, 2, 1e-2, r.task.Pool, r.set
	if _, err := train.Run(t.Context(), r.task, r.set.Params(), cfg); err != nil {
		t.Fatal(err)
	}
}

// evaluate returns the metrics of Evaluate, which must be those of Predict and Score.
func (r crfRun) evaluate(t *testing.T, table *tagged.File) train.Metrics {
	t.Helper()
	m, err := r.task.Evaluate(t.Context(), batch.Test)
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := r.task.Predict(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.task.Score(table, list)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range s.Metrics().Values {
		if want := m.Values[i]; v.Name != want.Name || math.Abs(v.Value-want.Value) > 1e-5*math.Max(1, want.Value) {
			t.Errorf("%s of predictions %g, of the evaluation %s %g", v.Name, v.Value, want.Name, want.Value)
		}
	}
	return m
}

func get(m train.Metrics, name string) float64 {
	v, _ := m.Get(name)
	return v.Value
}

// shakeCRF gives the adapter's transitions random scores, except those that are forbidden.
func (r crfRun) shakeCRF() {
	v, rand := op.Values(r.net.CRF.Scores(r.set).Param), nn.NewRand(5, "transitions")
	for i := range v {
		if v[i] > op.Forbidden {
			v[i] = float32(rand.NormFloat64()) * 2
		}
	}
}

// TestCRFTrains trains a CRF on several architectures: the loss falls, transitions change, evaluation and prediction
// agree, and the parameters are those of the adapter with the transitions behind them.
func TestCRFTrains(t *testing.T) {
	table := taggedFile(t, "we/O saw/O old/B-P bank/I-P", "new/B-Q", "it/O was/O great/B-P film/I-P", "bad/O")
	for name, base := range smallBases {
		t.Run(name, func(t *testing.T) {
			r := openSmall(t, base, table, false, nil, nil)
			params := r.set.Params()
			if last := params[len(params)-1].Name; last != "base_model.model.crf.TransitionScores" {
				t.Errorf("the last parameter is %s", last)
			}
			const wrapped = "(crf): ModulesToSaveWrapper(\n    (original_module): CRF(size=4)"
			if tree := r.set.Tree(r.net); !strings.Contains(tree, wrapped) ||
				!strings.HasPrefix(tree, r.net.Class()+"(") {
				t.Errorf("printed as\n%s", tree)
			}
			before := r.evaluate(t, table)
			r.train(t, 40)
			after := r.evaluate(t, table)
			if a, b := get(before, "loss"), get(after, "loss"); !(b < 0.6*a) {
				t.Errorf("loss %g before, %g after training", a, b)
			}
			if slices.Max(op.Values(r.net.CRF.Scores(r.set).Param)) < 0.01 {
				t.Error("the transitions have not changed")
			}
			list := nn.Train(r.net)
			if last := list[len(list)-1]; last.Name != "crf.TransitionScores" || last.Param != r.net.CRF.TransitionScores.Param {
				t.Errorf("full fine-tuning trains %s last", last.Name)
			}
		})
	}
}

// TestCRFStartsAsSoftmax: a fresh CRF, whose transitions are 0, gives the tags and scores of a model without one, and
// the sum of its losses.
func TestCRFStartsAsSoftmax(t *testing.T) {
	table := taggedFile(t, "we/O saw/O old/B-P bank/I-P", "new/B-Q", "it/O was/O great/B-P film/I-P")
	chain := openSmall(t, smallBases["bert"], table, false, nil, nil)
	plain := openSmall(t, smallBases["bert"], table, true, nil, nil)
	a, _, err := chain.task.Predict(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := plain.task.Predict(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range table.All() {
		tags, scores := chain.task.Tags(e, a[i])
		want, probabilities := plain.task.Tags(e, b[i])
		for w := range tags {
			if tags[w] != want[w] || math.Abs(float64(scores[w]-probabilities[w])) > 1e-6 {
				t.Errorf("sentence %d, word %d: %s (%g), without a CRF %s (%g)", i, w, tags[w], scores[w], want[w],
					probabilities[w])
			}
		}
	}
	loss, sums := [2]float64{}, [2]float64{}
	for i, r := range []crfRun{chain, plain} {
		tape := op.NewEvalTape(nil)
		sum, targets, err := r.task.Loss(&nn.Pass{Tape: tape, Adapter: r.set},
			tasktest.BatchOf(t, r.task.Splits[batch.Train], 0, 1, 2))
		if err != nil {
			t.Fatal(err)
		}
		loss[i], sums[i] = float64(op.Values(sum)[0]), targets
		tape.Close()
	}
	if math.Abs(loss[0]-loss[1]) > 1e-5*loss[1] || sums != [2]float64{3, 9} {
		t.Errorf("losses %v of %v targets", loss, sums)
	}
}

// TestCRFWindows: the chain of a sentence that is read in several windows goes over all of its words.
func TestCRFWindows(t *testing.T) {
	var words []string
	for i := range 30 {
		words = append(words, []string{"old/B-P", "bank/I-P", "film/I-P", "was/O"}[i%4])
	}
	table := taggedFile(t, strings.Join(words, " "), "we/O", "bad/B-Q film/I-Q")
	r := openSmall(t, smallBases["bert"], table, false, nil, func(c *TaskConfig) { c.MaxLength, c.Stride = 8, 2 })
	r.shakeCRF()
	if n := r.task.Splits[batch.Train].Len(); n < 6 {
		t.Fatalf("%d windows", n)
	}
	loss := get(r.evaluate(t, table), "loss")
	list, counts, err := r.task.Predict(t.Context(), table)
	if err != nil || counts.Windowed != 1 {
		t.Fatalf("%+v, %v", counts, err)
	}
	chain, sum := r.task.chain(), 0.0
	classes, err := table.Classes(r.task.Labels())
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range table.All() {
		k := len(r.task.Labels().Names)
		if len(list[i].emissions) != len(e.Words)*k {
			t.Fatalf("sentence %d: %d emissions for %d words", i, len(list[i].emissions), len(e.Words))
		}
		path := make([]int32, len(e.Words))
		chain.Viterbi(list[i].emissions, path)
		tags, _ := r.task.Tags(e, list[i])
		for w, y := range path {
			if tags[w] != r.task.Labels().Names[y] {
				t.Errorf("sentence %d, word %d: %s", i, w, tags[w])
			}
		}
		one, _ := chain.Loss(list[i].emissions, classes[i])
		sum += one
	}
	if math.Abs(loss-sum/3) > 1e-5*loss {
		t.Errorf("loss %g, of whole sentences %g", loss, sum/3)
	}
}

// TestCRFConstrained: forbidden transitions are never predicted, stay as they are in training, and windows that begin
// inside an entity, or words without tokens, do not make the loss infinite.
func TestCRFConstrained(t *testing.T) {
	table := taggedFile(t, "old/B-P bank/I-P film/I-P bank/I-P old/I-P film/I-P great/I-P was/O", "we/O bad/B-Q film/I-Q",
		"new/B-P", "it/O \u200b/B-Q bank/I-Q")
	mask, err := tagged.IOB2.Forbidden([]string{"B-P", "B-Q", "I-P", "I-Q", "O"})
	if err != nil {
		t.Fatal(err)
	}
	r := openSmall(t, smallBases["bert"], table, false, mask, func(c *TaskConfig) { c.MaxLength, c.Stride = 6, 1 })
	r.shakeCRF()
	if loss := get(r.evaluate(t, table), "loss"); !(loss > 0 && loss < 1000) {
		t.Errorf("loss %g", loss)
	}
	r.train(t, 12)
	for i, v := range op.Values(r.net.CRF.Scores(r.set).Param) {
		if mask[i] != (v < op.Forbidden*0.9) {
			t.Errorf("transition %d has the score %g after training, forbidden: %v", i, v, mask[i])
		}
	}
	random := tagged.New("random", nil...)
	rand := nn.NewRand(1, "words")
	for i := range 60 {
		var words []string
		for range 1 + rand.IntN(9) {
			words = append(words, []string{"old", "bank", "film", "was", "it", "we", "great"}[rand.IntN(7)])
		}
		random.Append(tagged.OfWords(words, i+1))
	}
	inside := 0
	for range 3 {
		r.shakeCRF()
		list, _, err := r.task.Predict(t.Context(), random)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range random.All() {
			tags, _ := r.task.Tags(e, list[i])
			if _, changed, err := tagged.RepairTags(tags, tagged.IOB2); err != nil || changed > 0 {
				t.Errorf("%v breaks the rules (%v)", tags, err)
			}
			inside += strings.Count(strings.Join(tags, " "), "I-")
		}
	}
	if inside == 0 {
		t.Error("no entity of several words is predicted")
	}
}

// TestCRFOddSentences reads sentences of one word, without words, and with one class.
func TestCRFOddSentences(t *testing.T) {
	table := taggedFile(t, "we/O", "it/O was/O", "bad/O")
	r := openSmall(t, smallBases["bert"], table, false, nil, func(c *TaskConfig) { c.Scheme = tagged.Plain })
	r.shakeCRF()
	m := r.evaluate(t, table)
	if get(m, "accuracy") != 1 || math.Abs(get(m, "loss")) > 1e-6 {
		t.Errorf("one class: %+v", m)
	}
	r.train(t, 3)
	odd := tagged.New("odd", tagged.Raw("", 1), tagged.Raw("\u200b", 2), tagged.Raw("we", 3))
	list, _, err := r.task.Predict(t.Context(), odd)
	if err != nil || len(list) != 3 || len(list[2].Tokens) != 1 || list[2].Tokens[0].Scores[0] != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if s, err := r.task.Score(odd, list); s != nil || err != nil {
		t.Errorf("scores of sentences without tags: %v, %v", s, err)
	}
}

// TestCRFAggregation: strategies that read scores of tokens are refused; entities of words have marginal scores.
func TestCRFAggregation(t *testing.T) {
	table := taggedFile(t, "we/O saw/O old/B-P bank/I-P", "new/B-Q")
	r := openSmall(t, smallBases["gpt2"], table, false, nil, nil)
	r.shakeCRF()
	for _, a := range Aggregations {
		list, err := r.task.Tag(t.Context(), []string{"we saw old bank"}, a)
		if a != AggregateFirst {
			if err == nil || !strings.Contains(err.Error(), "`aggregation_strategy "+string(a)+"`") {
				t.Errorf("%s: %v", a, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		f := tagged.New("text", tagged.Raw("we saw old bank", 1))
		predictions, _, err := r.task.Predict(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.task.Entities(f.At(0), predictions[0], AggregateSimple); !slices.Equal(got, list[0]) {
			t.Errorf("Entities %v, Tag %v", got, list[0])
		}
		for i, k := range predictions[0].Tokens {
			sum := float32(0)
			for _, v := range k.Scores {
				sum += v
			}
			first := i == 0 || predictions[0].Tokens[i-1].Word != k.Word
			if first != (k.Scores != nil) || first && math.Abs(float64(sum-1)) > 1e-5 {
				t.Errorf("token %+v", k)
			}
		}
	}
	foreign := []Prediction{{Tokens: []Token{{Scores: make([]float32, 4)}}}}
	if _, err := r.task.Score(taggedFile(t, "we/O"), foreign); err == nil {
		t.Error("predictions of another model are scored")
	}
}
