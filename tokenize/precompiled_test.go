package tokenize

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// rawCharsMap returns the table of the fixtures that is made from a few rules.
func rawCharsMap(t testing.TB) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(charsMapOf(t, "rules"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// oneKey returns a table in which the key k has the given value.
func oneKey(value uint32, replacements string) []byte {
	const root, key, leaf, size = 0, 0x100 ^ 'k', 0x200, 0x300
	raw := make([]byte, 4+4*size)
	put := func(unit int, u uint32) { binary.LittleEndian.PutUint32(raw[4+4*unit:], u) }
	binary.LittleEndian.PutUint32(raw, 4*size)
	put(root, 0x100<<10)
	put(key, 'k'|1<<8|(key^leaf)<<10)
	put(leaf, 1<<31|value)
	return append(raw, replacements...)
}

func TestCharsMapErrors(t *testing.T) {
	good := rawCharsMap(t)
	size := int(binary.LittleEndian.Uint32(good))
	with := func(at int, u uint32) []byte {
		raw := bytes.Clone(good)
		binary.LittleEndian.PutUint32(raw[at:], u)
		return raw
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want string // part of the message; "" = no error
	}{
		{"good", good, ""},
		{"empty", nil, "0 bytes are shorter than the 4-byte header"},
		{"short header", good[:3], "3 bytes are shorter than the 4-byte header"},
		{"no trie", with(0, 0), "a trie of 0 bytes: want a multiple of 4 above 0"},
		{"odd trie", with(0, uint32(size)-2), "want a multiple of 4"},
		{"huge trie", with(0, 1<<32-4), "a trie of 4294967292 bytes, but only"},
		{"cut trie", good[:size], "bytes, but only"},
		{"small trie", []byte{0, 8, 0, 0}, "a trie of 2048 bytes, but only 0 follow"},
		{
			"leaf outside", slices.Concat([]byte{0, 8, 0, 0}, oneKey(1, "")[4:4+2048], []byte("xy\x00")),
			"node 363 of the trie has children at 512, but there are only 512 nodes",
		},
		{"children outside", with(4, 1<<9|1<<30), "node 0 of the trie has children at 268435456, but there are only"},
		{"no replacements", good[:4+size], "but there are only 0 bytes"},
		{"no end", good[:len(good)-1], "or without an end"},
		{"not UTF-8", append(bytes.Clone(good), 0xFF, 0), "the replacements are not UTF-8"},
		{"value", oneKey(1, "xy\x00"), ""},
		{"value outside", oneKey(3, "xy\x00"), "node 363 of the trie: replacement at 3, but there are only 3 bytes"},
		{"value far outside", oneKey(1<<31-1, "xy\x00"), "replacement at 2147483647"},
		{"value inside", oneKey(1, "é\x00"), "replacement at 1 begins inside a character"},
		{"longest", oneKey(1, "x"+strings.Repeat("y", 1024)+"\x00"), ""},
		{"too long", oneKey(0, "x"+strings.Repeat("y", 1024)+"\x00"), "of more than 1024 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseCharsMap(base64.StdEncoding.EncodeToString(c.raw))
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestCharsMapBase64(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString(rawCharsMap(t))
	for text, want := range map[string]string{
		"!" + plain[1:]:                "illegal base64 data at input byte 0",
		plain[:40] + "\n" + plain[40:]: "line break in base64",
		"AAAAAB==":                     "illegal base64 data",
		plain[:len(plain)-1]:           "illegal base64 data",
	} {
		if _, err := parseCharsMap(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.9q: error %v, want %q", text, err, want)
		}
	}
}

// TestCharsMapFind checks that looking up a text finds the shortest key.
func TestCharsMapFind(t *testing.T) {
	m, err := parseCharsMap(base64.StdEncoding.EncodeToString(oneKey(1, "xyz\x00")))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"k": "yz", "key": "yz", "k\x00": "yz", "": "", "ek": "", "\x00k": "",
		"K": "", "\xff": ""} {
		if have, ok := m.find([]byte(text)); have != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", text, have, ok)
		}
	}
}

// FuzzCharsMap checks that no table makes its reader or the normalizer panic.
func FuzzCharsMap(f *testing.F) {
	f.Add(rawCharsMap(f), "e\u0301 abo\r\n\u0600a")
	f.Add(oneKey(1, "é\x00"), "kk")
	f.Add(oneKey(0, "\x00"), "k\u0301\u200dk")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		m, err := parseCharsMap(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			return
		}
		tok := &Tokenizer{
			normalizer: m, preTokenizer: preSequence(nil), model: byRune{}, template: plain, decoder: chain(blanks()),
		}
		tok.scratch = newScratch()
		checkEncoding(t, encodeAll(t, tok, text), text)
		for _, key := range []string{text, "\x01", "~", "\u00e9", "\uffff", "\U0010ffff"} {
			m.find([]byte(key))
		}
	})
}
