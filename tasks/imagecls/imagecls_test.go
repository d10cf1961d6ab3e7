package imagecls

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
	"github.com/spalora/spalora/vision"
)

// config is that of a small model for images of 8×8 pixels in two by two patches.
const config = `{"model_type": "vit", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
	"intermediate_size": 8, "image_size": 8, "patch_size": 4, "num_channels": 3}`

// pixels returns how images become pixels.
func pixels(t *testing.T, m models.ImageClassifier, settings string) Pixels {
	t.Helper()
	p, _, err := vision.NewProcessor([]byte(settings), "vit", 3)
	if err != nil {
		t.Fatal(err)
	}
	x := Pixels{Processor: p}
	_, x.height, x.width = m.Image()
	x.patchHeight, x.patchWidth = m.Patch()
	return x
}

const square8 = `{"size": {"height": 8, "width": 8}}`

// digits returns n grey images of 10×9 pixels of three classes, checked.
func digits(t *testing.T, n int) *picture.File {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	content := []byte{0, 0, 8, 3, 0, 0, 0, byte(n), 0, 0, 0, 9, 0, 0, 0, 10}
	labels := []byte{0, 0, 8, 1, 0, 0, 0, byte(n)}
	for i := range n {
		labels = append(labels, byte(i%3))
		for range 90 {
			content = append(content, byte(r.IntN(256)))
		}
	}
	f, err := picture.ReadIDX(content, labels, "digits", picture.Options{})
	if err == nil {
		f, _, err = f.Check(t.Context(), vision.Limits{}, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newTask(t *testing.T, c TaskConfig, settings string) *Task {
	t.Helper()
	m, err := models.NewImageClassifier([]byte(config), 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	c.Pixels = pixels(t, m, settings)
	if c.Labels, err = data.NewLabels(data.SingleLabel, []string{"a", "b", "c"}); err != nil {
		t.Fatal(err)
	}
	task, err := NewTask(m, c)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// TestBatches: a batch is that of its examples one by one, whatever the number of workers, and what is drawn depends on
// seed, epoch and example only.
func TestBatches(t *testing.T) {
	f := digits(t, 12)
	for _, workers := range []int{1, 4} {
		pool := op.NewPool(workers)
		defer pool.Close()
		task := newTask(t, TaskConfig{
			Config: Config{CoreConfig: tasks.CoreConfig{Pool: pool}}, Mixup: 0.4,
			Augment: vision.Augmentation{Crop: 0.3, Flip: true, Jitter: 0.3},
		}, square8)
		if err := task.Add(t.Context(), batch.Train, f); err != nil {
			t.Fatal(err)
		}
		set := task.Set(batch.Train)
		at := func(key op.Key, examples ...int) *batch.Batch {
			b, err := set.Batch(t.Context(), examples, key)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		key := op.Key{Seed: 7, Step: 3}
		all := at(key, 3, 11, 0)
		if len(all.Features) != 3*4*48 || all.Grids != nil || all.Labels != nil || len(all.Values) != 9 {
			t.Fatalf("%d features, grids %v, labels %v, values %v", len(all.Features), all.Grids, all.Labels, all.Values)
		}
		for i, e := range []int{3, 11, 0} {
			one := at(key, e)
			if !slices.Equal(one.Features, all.Features[i*4*48:(i+1)*4*48]) ||
				!slices.Equal(one.Values, all.Values[i*3:(i+1)*3]) {
				t.Errorf("example %d has another input in a batch", e)
			}
			if sum := one.Values[0] + one.Values[1] + one.Values[2]; sum < 0.999 || sum > 1.001 ||
				one.Values[e%3] < 0.499 {
				t.Errorf("targets %v of an image of class %d", one.Values, e%3)
			}
		}
		for _, other := range []op.Key{{Seed: 7, Step: 4}, {Seed: 8, Step: 3}} {
			if slices.Equal(at(other, 3).Features, at(key, 3).Features) {
				t.Errorf("%+v draws what %+v draws", other, key)
			}
		}
		plain := at(op.Key{}, 3)
		if !slices.Equal(plain.Labels, []int32{0}) || plain.Values != nil {
			t.Errorf("without a key: labels %v, values %v", plain.Labels, plain.Values)
		}
		m, err := f.Load(3, vision.Limits{})
		if err == nil {
			m, err = task.cfg.Pixels.Prepare(m)
		}
		if err != nil || !slices.Equal(plain.Features, task.cfg.Pixels.patches(m)) {
			t.Errorf("without a key, an image is changed: %v", err)
		}
	}
}

// TestMixedLoss: the loss of mixed images is that of both classes by their shares.
func TestMixedLoss(t *testing.T) {
	task := newTask(t, TaskConfig{Mixup: 1}, square8)
	if err := task.Add(t.Context(), batch.Train, digits(t, 6)); err != nil {
		t.Fatal(err)
	}
	b, err := task.Set(batch.Train).Batch(t.Context(), []int{0, 1, 2, 3}, op.Key{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	sum, n, err := task.Loss(&nn.Pass{Tape: tape}, b)
	if err != nil || n != 4 {
		t.Fatal(n, err)
	}
	want := 0.0
	logits := op.Values(task.Net.Logits(&nn.Pass{Tape: tape}, b))
	for i := range 4 {
		row := logits[i*3 : (i+1)*3]
		for j, share := range b.Values[i*3 : (i+1)*3] {
			want += float64(share) * (tasks.LogSumExp(row) - float64(row[j]))
		}
	}
	if got := float64(op.Values(sum)[0]); got < want-1e-5 || got > want+1e-5 {
		t.Errorf("loss %g, want %g", got, want)
	}
}

// TestSizes: images of several sizes in one batch have the logits that they have alone.
func TestSizes(t *testing.T) {
	task := newTask(t, TaskConfig{}, `{"do_resize": false}`)
	dir := t.TempDir()
	var paths []string
	for i, size := range [][2]int{{8, 8}, {12, 8}, {4, 16}} {
		path := filepath.Join(dir, fmt.Sprint(i, ".png"))
		m := gradient(size[0], size[1])
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	logits := func(paths ...string) []float32 {
		f, err := picture.ReadImages(paths, picture.Options{NoLabels: true})
		if err == nil {
			f, _, err = f.Check(t.Context(), vision.Limits{}, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		list, err := task.Predict(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	all := logits(paths...)
	for i, path := range paths {
		if got := logits(path); !slices.Equal(got, all[3*i:3*i+3]) {
			t.Errorf("image %d: %v alone, %v beside others", i, got, all[3*i:3*i+3])
		}
	}
	f, err := picture.ReadImages(paths, picture.Options{NoLabels: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Predict(t.Context(), f); err == nil || !strings.Contains(err.Error(), "picture.File.Check") {
		t.Errorf("a file that was not checked: %v", err)
	}
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	f, bad, err := f.Check(t.Context(), vision.Limits{}, 1)
	if err != nil || f.Len() != 2 || len(bad) != 1 {
		t.Errorf("a missing file: %v, %v", bad, err)
	}
}

// TestRefusedTasks: settings that contradict each other or the images.
func TestRefusedTasks(t *testing.T) {
	m, err := models.NewImageClassifier([]byte(config), 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := data.NewLabels(data.SingleLabel, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	few, err := data.NewLabels(data.SingleLabel, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	ok := Config{Pixels: pixels(t, m, square8), Labels: labels}
	for _, x := range []struct {
		c    TaskConfig
		says string
	}{
		{TaskConfig{Config: Config{Pixels: ok.Pixels, Labels: few}}, "3 outputs for 2 labels"},
		{TaskConfig{Config: Config{Labels: labels}}, "how images become pixels"},
		{TaskConfig{Config: ok, Mixup: 3}, "`mixup` is 3"},
		{TaskConfig{Config: ok, Mixup: 1, ClassWeights: []float32{1, 1, 1}}, "exclude each other"},
		{TaskConfig{Config: ok, Smoothing: 1}, "`label_smoothing_factor`"},
	} {
		if _, err := NewTask(m, x.c); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%v, want %q", err, x.says)
		}
	}
	task := newTask(t, TaskConfig{}, `{"size": {"height": 9, "width": 8}}`)
	if err := task.Add(t.Context(), batch.Train, digits(t, 3)); err == nil ||
		!strings.Contains(err.Error(), "not a whole number of patches") {
		t.Errorf("half patches: %v", err)
	}
}

// TestConfusion counts, prints and draws a matrix.
func TestConfusion(t *testing.T) {
	names := []string{"cat", "dog", "bird"}
	logits := []float32{2, 1, 0, 0, 1, 0, 3, 1, 0, 0, 0, 1, 5, 0, 0}
	c, err := NewConfusion(names, []int32{0, 1, 1, 2, batch.Ignore}, logits)
	if err != nil || !reflect.DeepEqual(c.Counts, [][]int{{1, 0, 0}, {1, 1, 0}, {0, 0, 1}}) {
		t.Fatal(c, err)
	}
	const want = "rows: class, columns: predicted\n" +
		"      cat  dog bird\n cat    1    0    0\n dog    1    1    0\nbird    0    0    1"
	if c.String() != want {
		t.Errorf("got\n%s", c)
	}
	many := Confusion{}
	for i := range 300 {
		many.Labels = append(many.Labels, fmt.Sprint("c", i))
		many.Counts = append(many.Counts, make([]int, 300))
	}
	if many.String() != "no image was taken for one of another class" {
		t.Errorf("got %s", many)
	}
	many.Counts[7][5], many.Counts[9][9], many.Counts[2][1] = 2, 8, 1
	if got := many.String(); !strings.HasSuffix(got, "images\nc7, c5, 2\nc2, c1, 1") {
		t.Errorf("got %s", got)
	}
	for _, c := range []Confusion{c, many} {
		var b bytes.Buffer
		if err := c.WritePNG(&b); err != nil {
			t.Fatal(err)
		}
		m, err := png.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		if s := m.Bounds().Size(); s.X > 2200 || s.Y > 2200 || s.X < 100 {
			t.Errorf("%d classes: %v", len(c.Labels), s)
		}
	}
}

// TestEvaluate: metrics of a split, and the logits that are passed on.
func TestEvaluate(t *testing.T) {
	called := 0
	task := newTask(t, TaskConfig{OnEvaluated: func(s batch.Split, w classification.Targets, logits []float32) {
		if called++; s != batch.Eval || len(w.Labels) != 9 || len(logits) != 27 {
			t.Errorf("%v, %v, %v", s, w, logits)
		}
	}}, square8)
	f := digits(t, 9)
	if err := task.Add(t.Context(), batch.Eval, f); err != nil {
		t.Fatal(err)
	}
	m, err := task.Evaluate(t.Context(), batch.Eval)
	if err != nil || called != 1 || m.Main != "accuracy" {
		t.Fatal(m, err)
	}
	logits, err := task.Predict(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	again, err := task.Score(f, logits)
	if err != nil || len(again.Values) != len(m.Values) {
		t.Fatal(again, err)
	}
	for i, v := range m.Values {
		if d := v.Value - again.Values[i].Value; d > 1e-6 || d < -1e-6 || v.Name != again.Values[i].Name {
			t.Errorf("%+v, scored later %+v", v, again.Values[i])
		}
	}
}

// gradient returns an image whose colours differ everywhere.
func gradient(width, height int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetNRGBA(x, y, color.NRGBA{uint8(20 * x), uint8(30 * y), uint8(7 * x * y), 255})
		}
	}
	return m
}
