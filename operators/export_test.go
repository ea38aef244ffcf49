package operators

// Waiting returns how many wait for the probe.
func (p *Probe) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.waiting)
}
