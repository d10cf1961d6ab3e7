package kernel

// Random returns random words number 4·quad to 4·quad+3 of a site. They depend on the key, the site and quad only
// (Philox with seven rounds), and are those that decide which elements of a row [Dropout] drops.
func Random(k Key, s Site, quad uint32) [4]uint32 {
	key := k.hash()
	m := mask{key: [2]uint32{uint32(key), uint32(key >> 32)}, site: s}
	return m.words(int(quad))
}
