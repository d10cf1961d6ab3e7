package vision

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"slices"
	"strings"
	"testing"
)

// readCases reads a list of cases that a script in reference/ wrote.
func readCases[T any](t testing.TB, path string) (list []T) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}

// drawn repeats an image of reference/pillow_fixture.py: 0 noise, 1 black and white blocks, 2 slopes with little noise.
func drawn(seed, kind, width, height, channels int) []byte {
	pix := make([]byte, 0, width*height*channels)
	for y := range height {
		for x := range width {
			for c := range channels {
				z := uint64(len(pix))*0x9e3779b97f4a7c15 + uint64(seed)
				z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
				z = (z ^ z>>27) * 0x94d049bb133111eb
				v := int((z ^ z>>31) >> 56)
				switch kind {
				case 1:
					v = (x/3 + y/2 + c + seed) % 2 * 255
				case 2:
					v = (x*(seed%7+1)+y*(seed%5+1)+c*40)%256/2 + 64 + v/16
				}
				pix = append(pix, byte(v))
			}
		}
	}
	return pix
}

type resizeCase struct {
	Seed, Kind, Channels, Filter int
	From, To                     [2]int
	SHA256                       string
	Pix                          []byte
}

// TestResize: all filters give the bytes of Pillow, for images that grow, shrink or keep a side.
func TestResize(t *testing.T) {
	list := readCases[resizeCase](t, "testdata/resize.json.gz")
	if len(list) < 300 {
		t.Fatalf("%d cases", len(list))
	}
	for _, c := range list {
		m := &Image{drawn(c.Seed, c.Kind, c.From[0], c.From[1], c.Channels), c.From[0], c.From[1]}
		if c.Channels == 1 {
			m = FromImage(&image.Gray{Pix: m.Pix, Stride: m.Width, Rect: image.Rect(0, 0, m.Width, m.Height)})
		}
		got := m.Resize(c.To[0], c.To[1], Filter(c.Filter)).Pix
		if c.Channels == 1 {
			got = everyThird(got)
		}
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != c.SHA256 {
			t.Errorf("%v from %v to %v, seed %d: other pixels\ngot  %v\nwant %v",
				Filter(c.Filter), c.From, c.To, c.Seed, got[:min(len(got), 30)], c.Pix)
		}
	}
}

// everyThird returns one byte of each pixel of a grey image.
func everyThird(pix []byte) []byte {
	out := make([]byte, len(pix)/3)
	for i := range out {
		out[i] = pix[3*i]
	}
	return out
}

type decodeCase struct {
	Name, Mode      string
	File, Pix, Grey []byte
	Size            [2]int
}

// decodeCases returns files with what Pillow makes of them.
func decodeCases(t testing.TB) []decodeCase {
	return readCases[decodeCase](t, "testdata/decode.json.gz")
}

// TestDecode compares decoded files with Pillow's: equal bytes but for JPEG, where the inverse transform of Go's
// decoder rounds differently, and for grey of 16 bits, which Pillow clips.
func TestDecode(t *testing.T) {
	for _, c := range decodeCases(t) {
		m, err := Decode(c.File, c.Name, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		if m.Width != c.Size[0] || m.Height != c.Size[1] {
			t.Errorf("%s: %d×%d, want %v", c.Name, m.Width, m.Height, c.Size)
			continue
		}
		if c.Mode == "I;16" {
			continue // TestGray16
		}
		most, sum := 0, 0
		for i, v := range m.Pix {
			d := max(int(v)-int(c.Pix[i]), int(c.Pix[i])-int(v))
			most = max(most, d)
			sum += d
		}
		limit, mean := 0, 0.0
		if strings.HasPrefix(c.Name, "jpeg") {
			limit, mean = 3, 0.25
		}
		if got := float64(sum) / float64(len(m.Pix)); most > limit || got > mean {
			t.Errorf("%s (%s): the largest difference is %d, the mean %.3f; at most %d and %.3f are expected",
				c.Name, c.Mode, most, got, limit, mean)
		}
		if limit == 0 && !bytes.Equal(everyThird(m.Gray().Pix), c.Grey) {
			t.Errorf("%s (%s): other grey", c.Name, c.Mode)
		}
	}
}

// TestGray16: grey of 16 bits keeps its upper 8 bits. Pillow 13 clips it to 255, which this test also holds, so that a
// new fixture shows if Pillow changes.
func TestGray16(t *testing.T) {
	i := slices.IndexFunc(decodeCases(t), func(c decodeCase) bool { return c.Mode == "I;16" })
	c := decodeCases(t)[i]
	src, err := png.Decode(bytes.NewReader(c.File))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(c.File, c.Name, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Width * m.Height {
		v := src.(*image.Gray16).Gray16At(i%m.Width, i/m.Width).Y
		if m.Pix[3*i] != byte(v>>8) || c.Pix[3*i] != byte(min(v, 255)) {
			t.Fatalf("pixel %d: %d becomes %d here and %d in Pillow", i, v, m.Pix[3*i], c.Pix[3*i])
		}
	}
}
