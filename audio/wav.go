package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Encodings of samples in WAV.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavExtensible = 0xFFFE // the encoding is in the first bytes of a GUID
)

// wavGUID follows the two bytes of the encoding in the GUID of WAVE_FORMAT_EXTENSIBLE.
var wavGUID = []byte{0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71}

// Sizes of data that programs write into the header of a stream, whose length they do not know beforehand.
const (
	unknownSize   = 0xFFFF_FFFF // FFmpeg
	unknownSizeOf = 0x7FFF_F000 // SoX: this or slightly more
	unknownSizeTo = 0x7FFF_FFFF
)

// maxChunks is the largest number of chunks before the samples; real files have a handful.
const maxChunks = 1000

// wav is a WAV file whose header was read.
type wav struct {
	file
	Header
	float  bool  // samples are floating-point numbers
	width  int   // bytes of a sample
	offset int64 // of the first sample
}

func (w *wav) header() Header { return w.Header }

// isWAV reports whether a file begins as WAV does.
func isWAV(head []byte) bool {
	if len(head) < 12 || string(head[8:12]) != "WAVE" {
		return false
	}
	id := string(head[:4])
	return id == "RIFF" || id == "RF64" || id == "BW64"
}

// wav reads the chunks up to the samples.
func (f file) wav() (*wav, error) {
	w := &wav{file: f}
	var b [40]byte
	head, err := f.head(b[:12], 0)
	if err != nil {
		return nil, err
	}
	riff := int64(binary.LittleEndian.Uint32(head[4:]))
	long := int64(-1) // size of the samples in a file of more than 4 GB
	pos := int64(12)
	for range maxChunks {
		head, err := f.head(b[:8], pos)
		if err != nil {
			return nil, err
		}
		if len(head) < 8 {
			return nil, f.errorf("the file is truncated: it ends after %d bytes, before its samples (there is no data chunk)",
				f.size)
		}
		id, size := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		pos += 8
		if id == "data" {
			return w, w.find(pos, size, riff, long)
		}
		if size > f.size-pos {
			return nil, f.errorf("the file is truncated or damaged: chunk %q at byte %d has %d bytes, but %d are left",
				id, pos-8, size, max(f.size-pos, 0))
		}
		content, err := f.head(b[:min(size, int64(len(b)))], pos)
		if err != nil {
			return nil, err
		}
		switch {
		case id == "fmt ":
			err = w.format(content)
		case id == "ds64" && len(content) >= 16:
			long = int64(binary.LittleEndian.Uint64(content[8:]))
		}
		if err != nil {
			return nil, err
		}
		pos += size + size&1 // chunks begin at even offsets
	}
	return nil, f.errorf("the file has more than %d chunks before its samples; it is damaged", maxChunks)
}

// format reads a chunk that describes the samples.
func (w *wav) format(b []byte) error {
	if len(b) < 16 {
		return w.errorf("the chunk that describes the samples has %d bytes, want at least 16", len(b))
	}
	encoding := binary.LittleEndian.Uint16(b)
	channels := int(binary.LittleEndian.Uint16(b[2:]))
	rate := binary.LittleEndian.Uint32(b[4:])
	block := int(binary.LittleEndian.Uint16(b[12:]))
	bits := int(binary.LittleEndian.Uint16(b[14:]))
	if encoding == wavExtensible {
		if len(b) < 40 || !bytes.Equal(b[26:40], wavGUID) {
			return w.errorf("WAVE_FORMAT_EXTENSIBLE has no known kind of samples; convert the file to 16-bit PCM")
		}
		encoding = binary.LittleEndian.Uint16(b[24:])
	}
	width := (bits + 7) / 8
	switch {
	case channels == 0:
		return w.errorf("the header says that there are 0 channels")
	case rate < MinRate || rate > MaxRate:
		return w.errorf("the sampling rate is %d Hz, want %d to %d", rate, MinRate, MaxRate)
	case encoding == wavPCM && width >= 1 && width <= 4, encoding == wavFloat && (bits == 32 || bits == 64):
	case encoding == wavPCM || encoding == wavFloat:
		return w.errorf("samples of %d bits are not supported; convert the file to 16-bit PCM", bits)
	default:
		return w.errorf("samples are encoded as %s, which is not supported; convert the file to 16-bit PCM",
			wavEncoding(encoding))
	}
	if block != channels*width {
		return w.errorf("the header is damaged: %d channels of %d bits take %d bytes, but it says %d", channels, bits,
			channels*width, block)
	}
	w.Header = Header{Format: "WAV", Rate: int(rate), Channels: channels, Bits: bits}
	w.float, w.width = encoding == wavFloat, width
	return nil
}

// wavEncoding names an encoding that is not supported.
func wavEncoding(n uint16) string {
	switch n {
	case 2:
		return "Microsoft ADPCM"
	case 6:
		return "A-law"
	case 7:
		return "µ-law"
	case 0x11:
		return "IMA ADPCM"
	case 0x31:
		return "GSM 6.10"
	case 0x55:
		return "MP3"
	}
	return fmt.Sprintf("format %#x", n)
}

// find finds out how many samples there are from offset on. size is that of their chunk, riff that of the file by its
// header, and long that of the samples in a file of RF64, −1 if it has none.
func (w *wav) find(offset, size, riff, long int64) error {
	if w.width == 0 {
		return w.errorf("the header is damaged: no chunk before the samples describes them")
	}
	left := w.size - offset
	streamed := false // a program wrote the header before it knew the length
	switch {
	case size == unknownSize && long > 0:
		size = long
	case size == unknownSize, size >= unknownSizeOf && size <= unknownSizeTo && size > left:
		streamed = true
	case size == 0 && left > 0: // and if the whole file has another size than the header says, it is a stream
		streamed = riff+8 < w.size || riff == unknownSize
	}
	if streamed {
		size = left
	}
	block := int64(w.Channels * w.width)
	switch {
	case size > left:
		return w.errorf("the file is truncated: it has %d of %d bytes of sound", left, size)
	case size%block != 0:
		return w.errorf("the file is truncated or damaged: its %d bytes of sound end within a sample of %d bytes", size,
			block)
	}
	w.offset, w.Frames = offset, size/block
	return nil
}

// samples decodes the file; find has made sure that the samples are there.
func (w *wav) samples(int64) ([]float32, error) {
	values := make([]float32, 0, w.Frames)
	block := w.Channels * w.width
	r := io.NewSectionReader(w.r, w.offset, w.Frames*int64(block))
	buffer := make([]byte, max(1, (1<<16)/block)*block)
	scale := 1 / float64(w.Channels)
	for {
		n, err := io.ReadFull(r, buffer)
		for b := buffer[:n/block*block]; len(b) > 0; b = b[block:] {
			var sum float64
			for c := range w.Channels {
				sum += w.sample(b[c*w.width:])
			}
			values = append(values, float32(sum*scale))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, &Error{File: w.name, Msg: "cannot read", Err: err}
		}
	}
	if int64(len(values)) != w.Frames {
		return nil, w.errorf("the file has become shorter while it was read")
	}
	if !w.float {
		return values, nil
	}
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, w.errorf("sample %d is not a finite number", i)
		}
	}
	return values, nil
}

// sample returns the value of a sample.
func (w *wav) sample(b []byte) float64 {
	switch {
	case w.float && w.width == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case w.float:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case w.width == 1: // the only one without a sign
		return (float64(b[0]) - 128) / (1 << 7)
	case w.width == 2:
		return float64(int16(binary.LittleEndian.Uint16(b))) / (1 << 15)
	case w.width == 3:
		return float64(int32(b[0])<<8|int32(b[1])<<16|int32(b[2])<<24) / (1 << 31)
	}
	return float64(int32(binary.LittleEndian.Uint32(b))) / (1 << 31)
}
