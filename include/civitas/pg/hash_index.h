/*
 * hash_index.h: finds elements of a list by their hash.
 *
 * The elements are kept elsewhere, each under a number; the index holds hashes and numbers. A few
 * are looked through one by one, more are found in constant time. Memory as that of Vec.
 */
#pragma once

#include "civitas/pg/vec.h"

namespace civitas::pg {

class HashIndex
{
public:
	/* The number of the first element of this hash that is_same(number) takes; -1 for none. */
	template <typename Same> int find(uint32 hash, Same&& is_same) const
	{
		if (slots_.empty())
		{
			for (const Slot& slot : entries_.span())
				if (slot.hash == hash && is_same(slot.number))
					return slot.number;
			return -1;
		}
		for (uint32 at = hash & mask(); slots_[at].number >= 0; at = (at + 1) & mask())
			if (slots_[at].hash == hash && is_same(slots_[at].number))
				return slots_[at].number;
		return -1;
	}

	void add(uint32 hash, int number)
	{
		entries_.push({hash, number});
		if (entries_.size() <= FEW)
			return;
		if (entries_.size() * 2 > slots_.size())
			rebuild();
		else
			place({hash, number});
	}

private:
	static constexpr int FEW = 8;

	struct Slot
	{
		uint32 hash;
		int number; /* -1: free */
	};

	uint32 mask() const { return static_cast<uint32>(slots_.size()) - 1; }

	void place(const Slot& entry)
	{
		uint32 at = entry.hash & mask();
		while (slots_[at].number >= 0)
			at = (at + 1) & mask();
		slots_[at] = entry;
	}

	/* A power of two of slots, at most a quarter of them taken. */
	void rebuild()
	{
		const int count = slots_.empty() ? FEW * 8 : slots_.size() * 2;
		slots_.clear();
		slots_.reserve(count);
		for (int i = 0; i < count; i++)
			slots_.push({0, -1});
		for (const Slot& entry : entries_.span())
			place(entry);
	}

	Vec<Slot> entries_;
	Vec<Slot> slots_; /* empty while there are few */
};
CIVITAS_SERVER_STATE(HashIndex);

} // namespace civitas::pg
