package persist

// Codecs returns the codecs of the stream's keys and values, for operators that
// compare and sort as the stream does: by encoded bytes.
func (r *ReadHandle[K, V]) Codecs() (Codec[K], Codec[V]) { return r.kc, r.vc }
