/*
 * vec.h: a growable array in a memory context.
 *
 * Its memory belongs to the context that was current when it was made (or the one given) and goes
 * with it: no destructor, so a longjmp past it leaks nothing. Elements are moved as bytes and must
 * be trivially copyable. Growing past 1 GB raises 54000, like every palloc.
 */
#pragma once

#include "civitas/pg/server.h"

#include <span>

namespace civitas::pg {

template <typename T> class Vec
{
	static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
	Vec() : Vec(CurrentMemoryContext) {}
	explicit Vec(MemoryContext context) : context_(context) {}

	void push(const T& value)
	{
		if (count_ == capacity_)
			grow(capacity_ == 0 ? 8 : capacity_ * 2);
		items_[count_++] = value;
	}
	/* Room for `capacity` elements in all. */
	void reserve(int capacity)
	{
		if (capacity > capacity_)
			grow(capacity);
	}
	void clear() { count_ = 0; }
	void pop() { count_--; }

	int size() const { return count_; }
	bool empty() const { return count_ == 0; }
	T& operator[](int index) { return items_[index]; }
	const T& operator[](int index) const { return items_[index]; }
	T& back() { return items_[count_ - 1]; }
	T *data() { return items_; }
	const T *data() const { return items_; }
	T *begin() { return items_; }
	T *end() { return items_ + count_; }
	const T *begin() const { return items_; }
	const T *end() const { return items_ + count_; }
	std::span<const T> span() const { return {items_, static_cast<size_t>(count_)}; }

private:
	void grow(int capacity)
	{
		if (items_ == nullptr)
			items_ = static_cast<T *>(MemoryContextAlloc(context_, sizeof(T) * capacity));
		else
			items_ = static_cast<T *>(repalloc(items_, sizeof(T) * capacity));
		capacity_ = capacity;
	}

	MemoryContext context_;
	T *items_ = nullptr;
	int count_ = 0;
	int capacity_ = 0;
};

} // namespace civitas::pg
