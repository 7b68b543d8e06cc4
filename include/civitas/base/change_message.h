/*
 * change_message.h: the messages in which another server tells what rows have changed.
 *
 * What logical decoding's pgoutput writes in protocol version 1 with texts, and the frames that carry
 * it in a replication stream. The bytes come from outside: whatever they are, reading them ends with a
 * message or with what is wrong with it, and never looks behind their end. Nothing is allocated or
 * copied; all views point into the bytes that were given.
 */
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace civitas {

/* Takes a message apart from front to back; numbers are in network byte order. What is not there reads as
 * zero or empty, and makes broken() true for good. */
class MessageReader
{
public:
	explicit MessageReader(std::span<const char> bytes) : rest_(bytes) {}

	uint8_t byte();
	uint16_t int16();
	uint32_t int32();
	uint64_t int64();
	/* Up to a zero byte, which follows the view. */
	std::string_view string();
	std::string_view bytes(size_t count);

	std::span<const char> rest() const { return rest_; }
	bool broken() const { return broken_; }

private:
	std::span<const char> rest_;
	bool broken_ = false;

	uint64_t number(size_t width);
};

/* A column's value in a change. */
struct MessageValue
{
	enum class Kind : char
	{
		Null,
		Unchanged, /* a long value that the update left alone, and that was not sent */
		Text
	};
	Kind kind;
	std::string_view text; /* without zero bytes, not terminated */
};

/* The values of a row, in the order of the table's columns. */
struct MessageRow
{
	int count; /* -1: there is no row */
	std::span<const char> bytes;

	/* Takes the first value that is left off; there are `count`. */
	MessageValue next();
};

struct MessageColumn
{
	std::string_view name; /* a zero byte follows */
	bool is_key;		   /* part of the replica identity */
};

/* The columns of a table's description. */
struct MessageColumns
{
	int count;
	std::span<const char> bytes;

	MessageColumn next();
};

struct ChangeMessage
{
	enum class Kind : char
	{
		Table, /* describes a table before its first change, and again when it has changed */
		Insert,
		Update,
		Delete,
		Truncate,
		Message, /* what pg_logical_emit_message() wrote */
		Other	 /* begin, commit and the like */
	};
	Kind kind;
	uint32_t table_id; /* in the stream: Table, Insert, Update, Delete */

	/* Table: */
	std::string_view schema; /* empty: pg_catalog; a zero byte follows */
	std::string_view name;	 /* a zero byte follows */
	bool full_identity;		 /* REPLICA IDENTITY FULL */
	MessageColumns columns;

	MessageRow old_row; /* Update, Delete: the replica identity's columns, or all */
	MessageRow new_row; /* Insert, Update */

	/* Message: */
	std::string_view prefix;
	std::string_view content;

	/* Whether each row that it tells has so many columns: reads nothing but the two counts. */
	bool has_width(int columns) const;
};

/* Null, or what is wrong with the bytes: a message for the log. */
const char *read_change_message(std::span<const char> bytes, ChangeMessage *message);

/* What a replication stream carries. */
struct StreamFrame
{
	enum class Kind : char
	{
		Data,
		Keepalive
	};
	Kind kind;
	uint64_t position;			/* in the log of the source */
	bool wants_reply;			/* Keepalive */
	std::span<const char> data; /* Data */
};

/* Null, or what is wrong with the bytes. */
const char *read_stream_frame(std::span<const char> bytes, StreamFrame *frame);

} // namespace civitas
