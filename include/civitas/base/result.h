/*
 * result.h: a value, or the reason why there is none.
 *
 * "Cannot be done this way" is an ordinary outcome in the core (a query that the router cannot
 * take, a rebalance step that would not help), so it is returned, not thrown. Exceptions are left
 * for what no caller can handle: out of memory, broken invariants.
 */
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace civitas {

/* Why something was not possible: a sentence fragment for EXPLAIN VERBOSE, DEBUG or a DETAIL. */
struct Reason
{
	std::string text;
};

template <typename T> class Result
{
public:
	Result(T value) : state_(std::move(value)) {}
	Result(Reason reason) : state_(std::move(reason)) {}

	bool ok() const { return std::holds_alternative<T>(state_); }
	explicit operator bool() const { return ok(); }

	/* Only where ok(). */
	const T& value() const { return std::get<T>(state_); }
	T& value() { return std::get<T>(state_); }
	/* Only where !ok(). */
	const std::string& reason() const { return std::get<Reason>(state_).text; }

private:
	std::variant<T, Reason> state_;
};

} // namespace civitas
