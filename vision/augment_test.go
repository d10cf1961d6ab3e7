package vision

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseAugmentation(t *testing.T) {
	for text, want := range map[string]Augmentation{
		"":                        {},
		"crop":                    {Crop: StandardCrop},
		"crop=0.5,flip":           {Crop: 0.5, Flip: true},
		"jitter, flip":            {Flip: true, Jitter: StandardJitter},
		"crop=1,jitter=0.25,flip": {Crop: 1, Flip: true, Jitter: 0.25},
	} {
		var parts []string
		if text != "" {
			parts = strings.Split(text, ",")
		}
		a, err := ParseAugmentation(parts)
		if err != nil || a != want {
			t.Errorf("%q: %+v, %v", text, a, err)
		}
		if parts = nil; a.String() != "" {
			parts = strings.Split(a.String(), ",")
		}
		if again, err := ParseAugmentation(parts); err != nil || again != a {
			t.Errorf("%q is printed as %q", text, a)
		}
	}
	for _, text := range []string{"crop=0", "crop=2", "jitter=x", "flip=1", "rotate", "crop=NaN"} {
		if _, err := ParseAugmentation([]string{text}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAugment: what is drawn decides what an image becomes, which has the size of the model's pixels.
func TestAugment(t *testing.T) {
	p, _, err := NewProcessor([]byte(`{"size": {"height": 12, "width": 20}}`), "vit", 3)
	if err != nil {
		t.Fatal(err)
	}
	m := &Image{drawn(3, 0, 50, 31, 3), 50, 31}
	original := bytes.Clone(m.Pix)
	plain, err := p.Prepare(m)
	if err != nil {
		t.Fatal(err)
	}
	augment := func(a Augmentation, seed uint64) *Image {
		t.Helper()
		r := rand.New(rand.NewPCG(seed, 0))
		out, err := p.Augment(m, a, r.Float64)
		if err != nil || out.Width != 20 || out.Height != 12 || len(out.Pix) != 3*20*12 {
			t.Fatalf("%+v: %v, %v", a, out, err)
		}
		return out
	}
	if !bytes.Equal(augment(Augmentation{}, 1).Pix, plain.Pix) {
		t.Error("no augmentation changes the image")
	}
	flipped := 0
	for seed := range uint64(100) {
		if out := augment(Augmentation{Flip: true}, seed); bytes.Equal(out.mirrored().Pix, plain.Pix) {
			flipped++
		} else if !bytes.Equal(out.Pix, plain.Pix) {
			t.Fatal("flip does more than mirror")
		}
	}
	if flipped < 35 || flipped > 65 {
		t.Errorf("%d of 100 images are mirrored", flipped)
	}
	for _, a := range []Augmentation{{Crop: 0.1}, {Jitter: 0.5}, {Crop: 0.3, Flip: true, Jitter: 1}} {
		first := augment(a, 1)
		if !bytes.Equal(first.Pix, augment(a, 1).Pix) || bytes.Equal(first.Pix, augment(a, 2).Pix) {
			t.Errorf("%+v: what is drawn does not decide", a)
		}
	}
	if !bytes.Equal(m.Pix, original) {
		t.Error("the image was changed")
	}
}

// TestRandomCrop: rectangles lie in the image, have the shares and ratios that are asked for, and the middle is taken
// where none fits.
func TestRandomCrop(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		w, h := 1+r.IntN(80), 1+r.IntN(80)
		left, top, width, height := randomCrop(w, h, 0.25, r.Float64)
		if left < 0 || top < 0 || width < 1 || height < 1 || left+width > w || top+height > h {
			t.Fatalf("%d×%d at %d, %d of %d×%d", width, height, left, top, w, h)
		}
		share := float64(width*height) / float64(w*h)
		ratio := float64(width) / float64(height)
		if w > 40 && h > 40 && w < 4*h/3 && h < 4*w/3 && (share < 0.22 || ratio < 0.7 || ratio > 1.43) {
			t.Fatalf("%d×%d of %d×%d", width, height, w, h)
		}
	}
	for _, x := range []struct{ w, h, width, height int }{{100, 2, 3, 2}, {2, 100, 2, 3}, {1, 1, 1, 1}} {
		never := func() float64 { return 0.999 } // the whole area, which does not fit
		left, top, width, height := randomCrop(x.w, x.h, 1, never)
		if width != x.width || height != x.height || left != (x.w-width)/2 || top != (x.h-height)/2 {
			t.Errorf("%d×%d at %d, %d of %d×%d", width, height, left, top, x.w, x.h)
		}
	}
}

// TestBlend compares changes of colour with Pillow's ImageEnhance.
func TestBlend(t *testing.T) {
	m := &Image{[]byte{10, 100, 200, 255, 0, 51}, 2, 1}
	// PIL.Image.blend(degenerate, image, factor) of Brightness, Contrast and Color in Pillow 13
	for _, x := range []struct {
		name   string
		factor float32
		other  func(i int) float32
		want   []byte
	}{
		{"brightness", 1.5, func(int) float32 { return 0 }, []byte{15, 150, 255, 255, 0, 76}},
		{"contrast", 0.5, func(int) float32 { return m.meanLuma() }, []byte{46, 91, 141, 169, 41, 67}},
		{"saturation", 0, func(i int) float32 { return float32(luma(m.Pix[3*i], m.Pix[3*i+1], m.Pix[3*i+2])) },
			[]byte{84, 84, 84, 82, 82, 82}},
	} {
		if got := m.blend(x.factor, x.other).Pix; !bytes.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
}

// FuzzParseAugmentation: what is read is written as text that is read again as the same.
func FuzzParseAugmentation(f *testing.F) {
	for _, s := range []string{"", "crop", "crop=0.5,flip,jitter", "flip=1", "crop=NaN", "jitter=1e-45", "crop=0x1p-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAugmentation(strings.Split(s, ","))
		if err != nil {
			return
		}
		if a.Crop < 0 || a.Crop > 1 || a.Jitter < 0 || a.Jitter > 1 {
			t.Errorf("%q is %+v", s, a)
		}
		var parts []string
		if a.String() != "" {
			parts = strings.Split(a.String(), ",")
		}
		if b, err := ParseAugmentation(parts); err != nil || b != a {
			t.Errorf("%q is %+v, written as %q, which is %+v (%v)", s, a, a, b, err)
		}
	})
}
