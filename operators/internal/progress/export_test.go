package progress

// Waiting returns how many calls of Wait block for the probe.
func (p *Probe) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.mu.waiting)
}
