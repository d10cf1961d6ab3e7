// Package whisper has the encoder–decoder of Whisper (Radford et al. 2022, arXiv:2212.04356), which writes text for
// sound. Its encoder reads log-mel frames, of which two convolutions make one row from two; its blocks are those of
// package bart, with norms before branches and no bias on keys.
package whisper
