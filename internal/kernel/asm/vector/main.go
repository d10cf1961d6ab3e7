// Command vector writes the assembly of internal/kernel's functions on slices, for AVX2 and for AVX-512, and its Go
// declarations, one family a run. Run it in the directory asm, as go generate in internal/kernel does:
//
//	go run ./vector -family activation
//
// It writes activation_amd64.s and activation_stubs_amd64.go to the parent directory.
package main

import (
	"flag"
	"log"
	"os"
	"strings"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	family := flag.String("family", "",
		"the functions to write: vector, activation, norm, softmax, rotary, dropout, adamw, widen, quant or matvec")
	flag.Parse()
	write, ok := map[string]func(){
		"vector":     vector,
		"activation": activation,
		"norm":       norm,
		"softmax":    softmax,
		"rotary":     rotary,
		"dropout":    dropout,
		"adamw":      adamW,
		"widen":      widen,
		"quant":      quant,
		"matvec":     matvec,
	}[*family]
	if !ok {
		log.Fatalf("vector: unknown family %q; use one of the names in -help", *family)
	}
	stubs := "../" + *family + "_stubs_amd64.go"
	for option, value := range map[string]string{"out": "../" + *family + "_amd64.s", "stubs": stubs, "pkg": "kernel"} {
		if err := flag.Set(option, value); err != nil {
			log.Fatal("vector: ", err)
		}
	}
	ConstraintExpr("!purego")
	for _, s := range sets {
		use(s)
		write()
	}
	writeJumps()
	Generate()
	if err := wrapDeclarations(stubs); err != nil {
		log.Fatal("vector: ", err)
	}
}

// columns is the maximum length of a line in the files that are written.
const columns = 120

// document sets the doc comment of the current function, with line breaks.
func document(text string) {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if len("// "+line+" "+word) > columns {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	Doc(append(lines, line)...)
}

// wrapDeclarations breaks long lines of a file of function declarations after commas.
func wrapDeclarations(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		var parts []string
		for strings.HasPrefix(line, "func ") && len(line) > columns || len(parts) > 0 && len(line) > columns {
			at := strings.LastIndex(line[:columns], ", ") + 1
			parts, line = append(parts, line[:at]), "\t"+line[at+1:]
		}
		lines[i] = strings.Join(append(parts, line), "\n")
	}
	return os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o644)
}
