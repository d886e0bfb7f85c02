static uint32_t get_word(const struct kvm_lapic_state *lapic, int offset)
{
	uint32_t value;

	memcpy(&value, lapic->regs + offset, sizeof(value));
	return value;
}

static void set_word(struct kvm_lapic_state *lapic, int offset, uint32_t value)
{
	memcpy(lapic->regs + offset, &value, sizeof(value));
}

static void add_vectors(struct kvm_lapic_state *lapic, int offset, struct vectors vectors)
{
	unsigned int n, place;

	for (n = 0; n < vectors.count; n++) {
		place = offset + 0x10 * (vectors.list[n] / 32);
		set_word(lapic, place, get_word(lapic, place) | 1u << vectors.list[n] % 32);
	}
}

