/*
 * change_message.cpp: reading what logical decoding says.
 *
 *     frame    w  position:8  end of log:8  time:8  message
 *              k  position:8  time:8  reply wanted:1
 *     message  R  table:4  schema  name  identity:1  columns:2  (flags:1 name type:4 modifier:4)*
 *              I  table:4  N row
 *              U  table:4  [K row | O row]  N row
 *              D  table:4  (K row | O row)
 *              T  tables:4  options:1  (table:4)*
 *              M  flags:1  position:8  prefix  length:4  bytes
 *              B, C, O, Y: begin, commit, origin, type
 *     row      columns:2  (n | u | t length:4 bytes)*
 *
 * A message is read to its end before anything of it is used, so that MessageRow and MessageColumns can
 * go through it again without a check.
 */
#include "civitas/base/change_message.h"

#include "civitas/base/assert.h"

namespace civitas {

uint64_t MessageReader::number(size_t width)
{
	uint64_t value = 0;
	for (const char byte : bytes(width))
		value = value << 8 | static_cast<uint8_t>(byte);
	return value;
}

uint8_t MessageReader::byte()
{
	return static_cast<uint8_t>(number(1));
}

uint16_t MessageReader::int16()
{
	return static_cast<uint16_t>(number(2));
}

uint32_t MessageReader::int32()
{
	return static_cast<uint32_t>(number(4));
}

uint64_t MessageReader::int64()
{
	return number(8);
}

std::string_view MessageReader::bytes(size_t count)
{
	if (broken_ || count > rest_.size())
	{
		broken_ = true;
		rest_ = {};
		return {};
	}
	const std::string_view taken(rest_.data(), count);
	rest_ = rest_.subspan(count);
	return taken;
}

std::string_view MessageReader::string()
{
	const std::string_view all(rest_.data(), rest_.size());
	const size_t length = all.find('\0');
	/* One more than there is breaks the reader. */
	return bytes(length == std::string_view::npos ? rest_.size() + 1 : length + 1)
		.substr(0, length);
}

namespace {

/* Flag of a column in a table's description. */
constexpr int KEY_COLUMN = 1;

constexpr const char *TOO_SHORT = "the message is too short";

MessageValue read_value(MessageReader *reader, const char **wrong)
{
	switch (reader->byte())
	{
	case 'n':
		return {MessageValue::Kind::Null, {}};
	case 'u':
		return {MessageValue::Kind::Unchanged, {}};
	case 't': {
		const MessageValue value = {MessageValue::Kind::Text, reader->bytes(reader->int32())};
		if (value.text.find('\0') != std::string_view::npos)
			*wrong = "a text holds a zero byte";
		return value;
	}
	default:
		*wrong = reader->broken() ? TOO_SHORT : "the kind of a column's value is not known";
		return {};
	}
}

MessageColumn read_column(MessageReader *reader)
{
	const bool is_key = (reader->byte() & KEY_COLUMN) != 0;
	const MessageColumn column = {reader->string(), is_key};
	reader->int32();
	reader->int32();
	return column;
}

const char *read_row(MessageReader *reader, MessageRow *row)
{
	row->count = reader->int16();
	row->bytes = reader->rest();
	const char *wrong = nullptr;
	for (int i = 0; i < row->count && wrong == nullptr; i++)
		read_value(reader, &wrong);
	if (wrong == nullptr && reader->broken())
		wrong = TOO_SHORT;
	row->bytes = row->bytes.first(row->bytes.size() - reader->rest().size());
	return wrong;
}

void read_table(MessageReader *reader, ChangeMessage *message)
{
	message->table_id = reader->int32();
	message->schema = reader->string();
	message->name = reader->string();
	message->full_identity = reader->byte() == 'f';
	message->columns.count = reader->int16();
	message->columns.bytes = reader->rest();
	for (int i = 0; i < message->columns.count && !reader->broken(); i++)
		read_column(reader);
}

/* Insert, Update, Delete: rows behind letters that say which. */
const char *read_rows(MessageReader *reader, ChangeMessage *message)
{
	using Kind = ChangeMessage::Kind;
	message->table_id = reader->int32();
	uint8_t part = reader->byte();
	const char *wrong = nullptr;
	if (message->kind != Kind::Insert && (part == 'K' || part == 'O'))
	{
		wrong = read_row(reader, &message->old_row);
		if (message->kind == Kind::Delete || wrong != nullptr)
			return wrong;
		part = reader->byte();
	}
	if (reader->broken())
		return TOO_SHORT;
	if (message->kind == Kind::Delete || part != 'N')
		return "the change does not tell the row that it should";
	return read_row(reader, &message->new_row);
}

void read_truncate(MessageReader *reader)
{
	const uint32_t count = reader->int32();
	reader->byte();
	for (uint32_t i = 0; i < count && !reader->broken(); i++)
		reader->int32();
}

void read_message(MessageReader *reader, ChangeMessage *message)
{
	reader->byte();
	reader->int64();
	message->prefix = reader->string();
	message->content = reader->bytes(reader->int32());
}

/* Begin and the like: nothing of them is used. */
void skip(MessageReader *reader)
{
	reader->bytes(reader->rest().size());
}

} // namespace

MessageValue MessageRow::next()
{
	MessageReader reader(bytes);
	const char *wrong = nullptr;
	const MessageValue value = read_value(&reader, &wrong);
	CIVITAS_ASSERT(wrong == nullptr && !reader.broken());
	bytes = reader.rest();
	return value;
}

MessageColumn MessageColumns::next()
{
	MessageReader reader(bytes);
	const MessageColumn column = read_column(&reader);
	CIVITAS_ASSERT(!reader.broken());
	bytes = reader.rest();
	return column;
}

bool ChangeMessage::has_width(int columns) const
{
	return (old_row.count < 0 || old_row.count == columns) &&
		   (new_row.count < 0 || new_row.count == columns);
}

const char *read_change_message(std::span<const char> bytes, ChangeMessage *message)
{
	using Kind = ChangeMessage::Kind;
	*message = {};
	message->kind = Kind::Other;
	message->old_row.count = message->new_row.count = -1;
	MessageReader reader(bytes);
	const char *wrong = nullptr;
	switch (reader.byte())
	{
	case 'R':
		message->kind = Kind::Table;
		read_table(&reader, message);
		break;
	case 'I':
		message->kind = Kind::Insert;
		wrong = read_rows(&reader, message);
		break;
	case 'U':
		message->kind = Kind::Update;
		wrong = read_rows(&reader, message);
		break;
	case 'D':
		message->kind = Kind::Delete;
		wrong = read_rows(&reader, message);
		break;
	case 'T':
		message->kind = Kind::Truncate;
		read_truncate(&reader);
		break;
	case 'M':
		message->kind = Kind::Message;
		read_message(&reader, message);
		break;
	case 'B':
	case 'C':
	case 'O':
	case 'Y':
		skip(&reader);
		break;
	default:
		wrong = reader.broken() ? TOO_SHORT : "the kind of the message is not known";
	}
	if (wrong == nullptr && reader.broken())
		wrong = TOO_SHORT;
	if (wrong == nullptr && !reader.rest().empty())
		wrong = "the message is too long";
	return wrong;
}

const char *read_stream_frame(std::span<const char> bytes, StreamFrame *frame)
{
	*frame = {};
	MessageReader reader(bytes);
	const uint8_t kind = reader.byte();
	frame->position = reader.int64();
	if (kind == 'w')
	{
		frame->kind = StreamFrame::Kind::Data;
		reader.int64(); /* the end of the source's log */
		reader.int64(); /* its time */
		frame->data = reader.rest();
	}
	else if (kind == 'k')
	{
		frame->kind = StreamFrame::Kind::Keepalive;
		reader.int64();
		frame->wants_reply = reader.byte() != 0;
		if (!reader.broken() && !reader.rest().empty())
			return "the message is too long";
	}
	else if (!reader.broken())
		return "the kind of the message is not known";
	return reader.broken() ? TOO_SHORT : nullptr;
}

} // namespace civitas
