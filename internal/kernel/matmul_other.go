package kernel

// archTiles is empty: this build has plain Go only.
var archTiles []alternative[tileKernels]
