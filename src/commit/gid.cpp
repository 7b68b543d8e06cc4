/*
 * gid.cpp: writing and reading names of transaction parts; the recovery decision.
 */
#include "civitas/commit/gid.h"

#include <charconv>
#include <cstring>

namespace civitas::commit {

namespace {

constexpr char PREFIX[] = "citus_";

/* Reads one number as it is written: no sign but '-', no leading zeros; moves *at behind it. */
template <typename Number> bool read_number(const char **at, const char *end, Number *out)
{
	const auto [next, error] = std::from_chars(*at, end, *out);
	if (error != std::errc() || next == *at)
		return false;
	char again[24];
	const auto written = std::to_chars(again, again + sizeof(again), *out);
	const auto length = static_cast<std::size_t>(next - *at);
	if (static_cast<std::size_t>(written.ptr - again) != length ||
		std::memcmp(again, *at, length) != 0)
		return false;
	*at = next;
	return true;
}

bool skip_separator(const char **at, const char *end)
{
	if (*at == end || **at != '_')
		return false;
	++*at;
	return true;
}

template <typename Number> char *write_number(char *at, char *end, Number value)
{
	return std::to_chars(at, end, value).ptr;
}

} // namespace

void format_gid(const TransactionPart& part, std::span<char, GID_SIZE> out)
{
	/* 6 + 11 + 10 + 11 + 20 + 10 characters, 4 separators and the zero fit in any case. */
	char *at = out.data();
	char *end = out.data() + out.size() - 1;
	std::memcpy(at, PREFIX, sizeof(PREFIX) - 1);
	at = write_number(at + sizeof(PREFIX) - 1, end, part.group);
	*at++ = '_';
	at = write_number(at, end, part.database);
	*at++ = '_';
	at = write_number(at, end, part.pid);
	*at++ = '_';
	at = write_number(at, end, part.number);
	*at++ = '_';
	at = write_number(at, end, part.ordinal);
	*at = '\0';
}

bool parse_gid(const char *gid, TransactionPart *part)
{
	const std::size_t prefix = sizeof(PREFIX) - 1;
	const char *end = gid + std::strlen(gid);
	if (std::strncmp(gid, PREFIX, prefix) != 0)
		return false;
	const char *at = gid + prefix;
	TransactionPart read;
	const bool good = read_number(&at, end, &read.group) && skip_separator(&at, end) &&
					  read_number(&at, end, &read.database) && skip_separator(&at, end) &&
					  read_number(&at, end, &read.pid) && skip_separator(&at, end) &&
					  read_number(&at, end, &read.number) && skip_separator(&at, end) &&
					  read_number(&at, end, &read.ordinal) && at == end;
	if (good)
		*part = read;
	return good;
}

Outcome decide(const Evidence& evidence)
{
	if (!evidence.ours || evidence.in_flight)
		return Outcome::Leave;
	return evidence.recorded ? Outcome::Commit : Outcome::RollBack;
}

} // namespace civitas::commit
