package op

// Comparisons with PyTorch of the pooling and the losses of sentence embeddings.

func torchMeanRows(c torchCase) {
	x := c.param("x")
	y := MeanRows(c.tape, x, c.ints("starts"))
	c.is("y", Values(y))
	c.backward(y)
	c.is("dx", Grad(x))
}

func torchNormalizeRows(c torchCase) {
	x := c.param("x")
	y := NormalizeRows(c.tape, x)
	c.is("y", Values(y))
	c.backward(y)
	c.is("dx", Grad(x))
}

func torchCosine(c torchCase) {
	x := c.param("x")
	y := PairDots(c.tape, NormalizeRows(c.tape, x))
	c.is("y", Values(y))
	sum := MSE(c.tape, y, c.floats("target"))
	c.is("sum", Values(sum))
	c.lossGradient(sum, x)
}

func torchMultipleNegatives(c torchCase) {
	x := c.param("x")
	y := PairScores(c.tape, NormalizeRows(c.tape, x), c.number("scale"))
	c.is("y", Values(y))
	labels := make([]int32, y.Shape()[0])
	for i := range labels {
		labels[i] = int32(i)
	}
	sum, targets := CrossEntropy(c.tape, y, labels, CrossEntropyConfig{})
	c.is("sum", Values(sum))
	if targets != float64(len(labels)) {
		c.Errorf("%v targets", targets)
	}
	c.lossGradient(sum, x)
}
