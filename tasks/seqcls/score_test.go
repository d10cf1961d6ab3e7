package seqcls_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks/seqcls"
)

// TestScore compares the metrics of logits with those of Evaluate, which computes both.
func TestScore(t *testing.T) {
	for name, problem := range map[string]data.Problem{
		"query_value": data.SingleLabel, "multi_label": data.MultiLabel, "regression": data.Regression,
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("..", "..", "testdata", "bert", name)
			src, tok := tasktest.Open(t, filepath.Join(dir, "base"))
			table, err := text.Read(filepath.Join(dir, "train.jsonl"), text.Options{OptionalLabels: true})
			if err != nil {
				t.Fatal(err)
			}
			labels, err := text.FindLabels(problem, data.LabelSource{}, table)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := models.OpenSequenceClassifier(src, max(1, len(labels.Names)), 1)
			if err != nil {
				t.Fatal(err)
			}
			task, err := seqcls.NewTask(m, tok, seqcls.TaskConfig{Config: seqcls.Config{Labels: labels}})
			if err != nil {
				t.Fatal(err)
			}
			if err := task.Add(t.Context(), batch.Test, table); err != nil {
				t.Fatal(err)
			}
			want, err := task.Evaluate(t.Context(), batch.Test)
			if err != nil {
				t.Fatal(err)
			}
			for _, unlabelled := range []int{0, 5} {
				rows := text.New(table.Name)
				for i := range unlabelled {
					rows.Append(text.Example{Text: table.At(unlabelled - 1 - i).Text})
				}
				rows.Append(slices.Collect(table.Values())...)
				logits, _, err := task.Predict(t.Context(), rows)
				if err != nil {
					t.Fatal(err)
				}
				got, err := task.Score(rows, logits)
				if err != nil {
					t.Fatal(err)
				}
				for i, w := range want.Values {
					if g := got.Values[i]; g.Name != w.Name || math.Abs(g.Value-w.Value) > 1e-6*math.Abs(w.Value) {
						t.Errorf("%s is %v, Evaluate has %s %v", g.Name, g.Value, w.Name, w.Value)
					}
				}
			}
			none := text.New(table.Name, text.Example{Text: "a"})
			logits, _, err := task.Predict(t.Context(), none)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := task.Score(none, logits); err != nil || len(got.Values) != 0 {
				t.Errorf("rows without labels have the metrics %v, %v", got, err)
			}
			if _, err := task.Score(table, logits); err == nil {
				t.Error("logits of another table are accepted")
			}
		})
	}
}

// TestUndefinedScores checks that an undefined correlation is NaN, with the reason.
func TestUndefinedScores(t *testing.T) {
	table, err := text.ReadBytes([]byte("text,score\na,1\nb,2\n"), "t.csv", text.Options{LabelColumn: "score"})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := data.NewLabels(data.Regression, nil)
	if err != nil {
		t.Fatal(err)
	}
	src, tok := tasktest.Open(t, "../../testdata/bert/query_value/base")
	m, _, err := models.OpenSequenceClassifier(src, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	task, err := seqcls.NewTask(m, tok, seqcls.TaskConfig{Config: seqcls.Config{Labels: labels}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := task.Score(table, []float32{3, 3})
	if err != nil || len(got.Values) != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, v := range got.Values[:2] {
		if !v.Undefined() || v.Reason != "all predictions are equal" {
			t.Errorf("%s is %v (%s)", v.Name, v.Value, v.Reason)
		}
	}
	if v := got.Values[2]; v.Value != 2.5 || v.Reason != "" {
		t.Errorf("mse is %v (%s)", v.Value, v.Reason)
	}
}
