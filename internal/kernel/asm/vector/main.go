// Command vector writes the AVX2 assembly of internal/kernel's functions on slices, one family a run:
//
//	go run ./vector -family activation -out ../activation_amd64.s -stubs ../activation_stubs_amd64.go -pkg kernel
//
// Run it by go generate in internal/kernel.
package main

import (
	"flag"
	"log"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	family := flag.String("family", "", "the functions to write: vector, activation, norm, softmax, rotary, dropout, adamw, widen, quant or matvec")
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
		log.Fatalf("vector: no family %q", *family)
	}
	ConstraintExpr("!purego")
	write()
	Generate()
}
