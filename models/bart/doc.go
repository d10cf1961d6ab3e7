// Package bart has the encoder–decoder of BART (Lewis et al. 2019, arXiv:1910.13461) and its relatives: mBART, Marian
// and Pegasus. They have the same blocks and names and differ in where norms are and how positions are made:
//
//	          norms            positions        norm of the embeddings, at the end
//	bart      after branches   learned          yes, no
//	mbart     before branches  learned          yes, yes
//	marian    after branches   sinusoidal       no,  no
//	pegasus   before branches  sinusoidal       no,  yes
package bart
