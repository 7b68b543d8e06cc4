/*
 * change_message_test.cpp: what another server says of its changes is read as it was written, and what no
 * server would say is told apart, whatever the bytes are. Each message lies in memory of its own length, so
 * that the sanitized build sees a look behind its end.
 */
#include "civitas/base/change_message.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace civitas {
namespace {

std::string number(uint64_t value, int width)
{
	std::string bytes;
	for (int i = width - 1; i >= 0; i--)
		bytes += static_cast<char>(value >> (8 * i));
	return bytes;
}

std::string zero_ended(const std::string& text)
{
	return text + '\0';
}

struct Column
{
	std::string name;
	bool is_key;
};

/* "n", "u", or "t" and the text. */
using Row = std::vector<std::string>;

std::string row(const Row& values)
{
	std::string bytes = number(values.size(), 2);
	for (const std::string& value : values)
	{
		bytes += value[0];
		if (value[0] == 't')
			bytes += number(value.size() - 1, 4) + value.substr(1);
	}
	return bytes;
}

std::string table(uint32_t id, const std::string& schema, const std::string& name, char identity,
				  const std::vector<Column>& columns)
{
	std::string bytes = "R" + number(id, 4) + zero_ended(schema) + zero_ended(name) + identity +
						number(columns.size(), 2);
	for (const Column& column : columns)
		bytes += number(column.is_key ? 1 : 0, 1) + zero_ended(column.name) + number(23, 4) +
				 number(0xffffffff, 4);
	return bytes;
}

/* Bytes in memory that ends where they end. */
struct Exact
{
	explicit Exact(const std::string& bytes) : memory(new char[bytes.size()]), size(bytes.size())
	{
		if (size > 0)
			std::memcpy(memory.get(), bytes.data(), size);
	}
	std::span<const char> span() const { return {memory.get(), size}; }

	std::unique_ptr<char[]> memory;
	size_t size;
};

Row values_of(MessageRow message)
{
	Row values;
	for (int i = 0; i < message.count; i++)
	{
		const MessageValue value = message.next();
		values.push_back(value.kind == MessageValue::Kind::Null ? "n"
						 : value.kind == MessageValue::Kind::Unchanged
							 ? "u"
							 : "t" + std::string(value.text));
	}
	EXPECT_TRUE(message.bytes.empty());
	return values;
}

/* Reads everything that a message points to. Its length in bytes, so that nothing is left out as unused. */
size_t touch(const ChangeMessage& message)
{
	size_t sum = message.schema.size() + message.name.size() + message.prefix.size();
	if (message.kind == ChangeMessage::Kind::Table)
		sum += std::strlen(message.schema.data()) + std::strlen(message.name.data());
	for (const char byte : message.content)
		sum += static_cast<unsigned char>(byte);
	for (MessageRow each : {message.old_row, message.new_row})
		for (int i = 0; i < each.count; i++)
			for (const char byte : each.next().text)
				sum += static_cast<unsigned char>(byte);
	MessageColumns columns = message.columns;
	for (int i = 0; i < columns.count; i++)
	{
		const MessageColumn column = columns.next();
		sum += std::strlen(column.name.data());
		EXPECT_EQ(std::strlen(column.name.data()), column.name.size());
	}
	return sum;
}

const char *reason(const std::string& bytes)
{
	const Exact exact(bytes);
	ChangeMessage message;
	const char *wrong = read_change_message(exact.span(), &message);
	if (wrong == nullptr)
		touch(message);
	return wrong;
}

std::string random_text(std::mt19937_64& random, size_t most)
{
	std::string text(random() % (most + 1), '\0');
	for (char& byte : text)
		byte = static_cast<char>(1 + random() % 255);
	return text;
}

Row random_row(std::mt19937_64& random)
{
	Row values(random() % 6);
	for (std::string& value : values)
		value = random() % 3 == 0 ? "n" : random() % 3 == 0 ? "u" : "t" + random_text(random, 40);
	return values;
}

std::string random_message(std::mt19937_64& random)
{
	const std::string id = number(random(), 4);
	switch (random() % 9)
	{
	case 0: {
		std::vector<Column> columns(random() % 5);
		for (Column& column : columns)
			column = {random_text(random, 10), random() % 2 == 0};
		return table(static_cast<uint32_t>(random()), random_text(random, 10),
					 random_text(random, 10), random() % 2 == 0 ? 'f' : 'd', columns);
	}
	case 1:
		return "I" + id + "N" + row(random_row(random));
	case 2:
		return "U" + id + "N" + row(random_row(random));
	case 3:
		return "U" + id + (random() % 2 == 0 ? "K" : "O") + row(random_row(random)) + "N" +
			   row(random_row(random));
	case 4:
		return "D" + id + (random() % 2 == 0 ? "K" : "O") + row(random_row(random));
	case 5:
		return "T" + number(2, 4) + number(3, 1) + id + id;
	case 6: {
		const std::string content = random_text(random, 30);
		return "M" + number(1, 1) + number(random(), 8) + zero_ended("citus") +
			   number(content.size(), 4) + content;
	}
	case 7:
		return "B" + number(random(), 8) + number(random(), 8) + number(random(), 4);
	default:
		return "C" + number(0, 1) + number(random(), 8) + number(random(), 8) + number(random(), 8);
	}
}

TEST(ChangeMessage, TellsTables)
{
	const Exact exact(table(77, "house", "people", 'd', {{"id", true}, {"Straße", false}}));
	ChangeMessage message;
	ASSERT_EQ(read_change_message(exact.span(), &message), nullptr);
	EXPECT_EQ(message.kind, ChangeMessage::Kind::Table);
	EXPECT_EQ(message.table_id, 77U);
	EXPECT_EQ(message.schema, "house");
	EXPECT_EQ(message.name, "people");
	EXPECT_FALSE(message.full_identity);
	ASSERT_EQ(message.columns.count, 2);
	MessageColumn column = message.columns.next();
	EXPECT_EQ(column.name, "id");
	EXPECT_TRUE(column.is_key);
	column = message.columns.next();
	EXPECT_EQ(column.name, "Straße");
	EXPECT_FALSE(column.is_key);

	const Exact full(table(1, "", "pg_x", 'f', {}));
	ASSERT_EQ(read_change_message(full.span(), &message), nullptr);
	EXPECT_EQ(message.schema, "");
	EXPECT_TRUE(message.full_identity);
	EXPECT_EQ(message.columns.count, 0);
}

TEST(ChangeMessage, TellsRows)
{
	ChangeMessage message;
	const Exact insert("I" + number(7, 4) + "N" + row({"t1", "n", "t"}));
	ASSERT_EQ(read_change_message(insert.span(), &message), nullptr);
	EXPECT_EQ(message.kind, ChangeMessage::Kind::Insert);
	EXPECT_EQ(message.table_id, 7U);
	EXPECT_EQ(values_of(message.new_row), (Row{"t1", "n", "t"}));
	EXPECT_EQ(message.old_row.count, -1);

	const Exact update("U" + number(8, 4) + "K" + row({"t1", "n"}) + "N" + row({"t2", "u"}));
	ASSERT_EQ(read_change_message(update.span(), &message), nullptr);
	EXPECT_EQ(message.kind, ChangeMessage::Kind::Update);
	EXPECT_EQ(values_of(message.old_row), (Row{"t1", "n"}));
	EXPECT_EQ(values_of(message.new_row), (Row{"t2", "u"}));

	const Exact one_row("U" + number(8, 4) + "N" + row({"t2", "u"}));
	ASSERT_EQ(read_change_message(one_row.span(), &message), nullptr);
	EXPECT_EQ(message.old_row.count, -1);
	EXPECT_EQ(values_of(message.new_row), (Row{"t2", "u"}));

	const Exact removal("D" + number(9, 4) + "O" + row({"t1"}));
	ASSERT_EQ(read_change_message(removal.span(), &message), nullptr);
	EXPECT_EQ(message.kind, ChangeMessage::Kind::Delete);
	EXPECT_EQ(values_of(message.old_row), (Row{"t1"}));
	EXPECT_EQ(message.new_row.count, -1);
}

TEST(ChangeMessage, TellsTheRest)
{
	ChangeMessage message;
	const Exact mark("M" + number(1, 1) + number(5, 8) + zero_ended("citus") + number(4, 4) +
					 "mark");
	ASSERT_EQ(read_change_message(mark.span(), &message), nullptr);
	EXPECT_EQ(message.kind, ChangeMessage::Kind::Message);
	EXPECT_EQ(message.prefix, "citus");
	EXPECT_EQ(message.content, "mark");
	const Exact truncate("T" + number(1, 4) + number(0, 1) + number(7, 4));
	ASSERT_EQ(read_change_message(truncate.span(), &message), nullptr);
	EXPECT_EQ(message.kind, ChangeMessage::Kind::Truncate);
	for (const char *letter : {"B", "C", "O", "Y"})
	{
		const Exact other(letter + number(1, 8));
		ASSERT_EQ(read_change_message(other.span(), &message), nullptr);
		EXPECT_EQ(message.kind, ChangeMessage::Kind::Other);
	}
}

TEST(ChangeMessage, RefusesWhatIsNone)
{
	EXPECT_STREQ(reason(""), "the message is too short");
	EXPECT_STREQ(reason("x"), "the kind of the message is not known");
	EXPECT_STREQ(reason(std::string(1, '\0')), "the kind of the message is not known");
	EXPECT_STREQ(reason("I" + number(1, 4) + "K" + row({"t1"})),
				 "the change does not tell the row that it should");
	EXPECT_STREQ(reason("D" + number(1, 4) + "N" + row({"t1"})),
				 "the change does not tell the row that it should");
	EXPECT_STREQ(reason("U" + number(1, 4) + "K" + row({"t1"}) + "K" + row({"t1"})),
				 "the change does not tell the row that it should");
	EXPECT_STREQ(reason("I" + number(1, 4) + "N" + row({"b"})),
				 "the kind of a column's value is not known");
	EXPECT_STREQ(reason("I" + number(1, 4) + "N" + row({std::string("ta\0b", 4)})),
				 "a text holds a zero byte");
	EXPECT_STREQ(reason("I" + number(1, 4) + "N" + row({"t1"}) + "t"), "the message is too long");
	/* Lengths and counts that promise more than there is, up to the greatest. */
	EXPECT_STREQ(
		reason("I" + number(1, 4) + "N" + number(1, 2) + "t" + number(0xffffffff, 4) + "1"),
		"the message is too short");
	EXPECT_STREQ(reason("I" + number(1, 4) + "N" + number(1, 2) + "t" + number(2, 4) + "1"),
				 "the message is too short");
	EXPECT_STREQ(reason("I" + number(1, 4) + "N" + number(0xffff, 2) + "n"),
				 "the message is too short");
	EXPECT_STREQ(reason("T" + number(0xffffffff, 4) + number(0, 1) + number(7, 4)),
				 "the message is too short");
	EXPECT_STREQ(reason("M" + number(1, 1) + number(5, 8) + "citus"), "the message is too short");
}

TEST(ChangeMessage, KnowsTheWidthOfItsRows)
{
	ChangeMessage message;
	const Exact update("U" + number(8, 4) + "K" + row({"t1", "n"}) + "N" + row({"t2"}));
	ASSERT_EQ(read_change_message(update.span(), &message), nullptr);
	EXPECT_FALSE(message.has_width(1));
	EXPECT_FALSE(message.has_width(2));
	const Exact insert("I" + number(8, 4) + "N" + row({"t1", "n"}));
	ASSERT_EQ(read_change_message(insert.span(), &message), nullptr);
	EXPECT_TRUE(message.has_width(2));
	EXPECT_FALSE(message.has_width(3));
	EXPECT_FALSE(message.has_width(0));
	const Exact empty("D" + number(8, 4) + "K" + row({}));
	ASSERT_EQ(read_change_message(empty.span(), &message), nullptr);
	EXPECT_TRUE(message.has_width(0));
	EXPECT_FALSE(message.has_width(1));
}

/* Every message that is cut short is refused, but for those of which nothing is used. */
TEST(ChangeMessage, RefusesEveryBeginning)
{
	std::mt19937_64 random(20260103);
	for (int i = 0; i < 3000; i++)
	{
		const std::string whole = random_message(random);
		ASSERT_EQ(reason(whole), nullptr);
		for (size_t length = 0; length < whole.size(); length++)
		{
			const char *wrong = reason(whole.substr(0, length));
			if (length == 0 || (whole[0] != 'B' && whole[0] != 'C'))
			{
				ASSERT_NE(wrong, nullptr) << whole[0] << " cut to " << length;
			}
		}
	}
}

/* Bytes changed, left out, doubled: a message or a reason, and nothing behind the end is looked at. */
TEST(ChangeMessage, BearsAnyChange)
{
	std::mt19937_64 random(20260104);
	for (int i = 0; i < 100000; i++)
	{
		std::string bytes = random_message(random);
		for (size_t changes = 1 + random() % 4; changes > 0 && !bytes.empty(); changes--)
		{
			const size_t at = random() % bytes.size();
			switch (random() % 4)
			{
			case 0:
				bytes[at] = static_cast<char>(random());
				break;
			case 1:
				bytes.erase(at, 1 + random() % 5);
				break;
			case 2:
				bytes.insert(at, bytes.substr(at, random() % 9));
				break;
			default:
				bytes[at] = random() % 2 == 0 ? '\0' : '\xff';
			}
		}
		reason(bytes);
	}
}

TEST(ChangeMessage, BearsAnyBytes)
{
	std::mt19937_64 random(20260105);
	for (int i = 0; i < 200000; i++)
	{
		std::string bytes(random() % 60, '\0');
		for (char& byte : bytes)
			byte =
				random() % 3 == 0 ? "IUDRTMNKOtnu"[random() % 12] : static_cast<char>(random() % 4);
		reason(bytes);
	}
}

TEST(StreamFrame, CarriesMessages)
{
	StreamFrame frame;
	const Exact data("w" + number(0x123456789a, 8) + number(2, 8) + number(3, 8) + "Bxyz");
	ASSERT_EQ(read_stream_frame(data.span(), &frame), nullptr);
	EXPECT_EQ(frame.kind, StreamFrame::Kind::Data);
	EXPECT_EQ(frame.position, 0x123456789aU);
	EXPECT_EQ(std::string_view(frame.data.data(), frame.data.size()), "Bxyz");
	const Exact keepalive("k" + number(5, 8) + number(3, 8) + number(1, 1));
	ASSERT_EQ(read_stream_frame(keepalive.span(), &frame), nullptr);
	EXPECT_EQ(frame.kind, StreamFrame::Kind::Keepalive);
	EXPECT_EQ(frame.position, 5U);
	EXPECT_TRUE(frame.wants_reply);
	for (const Exact *whole : {&data, &keepalive})
		for (size_t length = 0; length < 18; length++)
		{
			const Exact cut(std::string(whole->span().data(), length));
			EXPECT_NE(read_stream_frame(cut.span(), &frame), nullptr) << length;
		}
	const Exact unknown("x" + number(5, 8) + number(3, 8));
	EXPECT_STREQ(read_stream_frame(unknown.span(), &frame), "the kind of the message is not known");
	const Exact trailing("k" + number(5, 8) + number(3, 8) + number(1, 1) + "x");
	EXPECT_STREQ(read_stream_frame(trailing.span(), &frame), "the message is too long");
}

} // namespace
} // namespace civitas
