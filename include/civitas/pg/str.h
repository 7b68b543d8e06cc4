/*
 * str.h: building SQL text in a memory context.
 *
 * A thin hold on PostgreSQL's StringInfo with the appends that SQL needs: identifiers and literals
 * are always quoted by the two calls made for it, never by hand.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "lib/stringinfo.h"
#include "utils/builtins.h"
CIVITAS_PG_END

namespace civitas::pg {

/* Text that grows; lives in the memory context that was current when it was made. */
class Str
{
public:
	Str() { initStringInfo(&info_); }

	Str& raw(const char *text)
	{
		appendStringInfoString(&info_, text);
		return *this;
	}
	Str& raw(const char *text, int length)
	{
		appendBinaryStringInfo(&info_, text, length);
		return *this;
	}
	Str& ch(char c)
	{
		appendStringInfoChar(&info_, c);
		return *this;
	}
	/* An identifier, double-quoted where it must be. */
	Str& ident(const char *name) { return raw(quote_identifier(name)); }
	/* schema.name, both quoted where they must be. */
	Str& qualified(const char *schema, const char *name)
	{
		return raw(quote_qualified_identifier(schema, name));
	}
	/* A string literal, escaped whatever standard_conforming_strings says. */
	Str& literal(const char *value)
	{
		char *quoted = quote_literal_cstr(value);
		raw(quoted);
		pfree(quoted);
		return *this;
	}
	/* A literal, or NULL for a null pointer. */
	Str& literal_or_null(const char *value) { return value ? literal(value) : raw("NULL"); }
	Str& num(int64 value)
	{
		appendStringInfo(&info_, INT64_FORMAT, value);
		return *this;
	}
	Str& oid(Oid value)
	{
		appendStringInfo(&info_, "%u", value);
		return *this;
	}
	Str& boolean(bool value) { return raw(value ? "true" : "false"); }
	Str& format(const char *fmt, ...) pg_attribute_printf(2, 3)
	{
		for (;;)
		{
			va_list args;
			va_start(args, fmt);
			const int needed = appendStringInfoVA(&info_, fmt, args);
			va_end(args);
			if (needed == 0)
				return *this;
			enlargeStringInfo(&info_, needed);
		}
	}

	/* The text, NUL-terminated, owned by the memory context. */
	char *c_str() const { return info_.data; }
	int length() const { return info_.len; }
	bool empty() const { return info_.len == 0; }
	void clear() { resetStringInfo(&info_); }
	StringInfo info() { return &info_; }

private:
	StringInfoData info_;
};

CIVITAS_SERVER_STATE(Str);

} // namespace civitas::pg
