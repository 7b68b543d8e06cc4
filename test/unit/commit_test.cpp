/*
 * commit_test.cpp: gids round-trip, foreign names are refused, recovery decides as the protocol
 * says.
 */
#include "civitas/commit/gid.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>

namespace civitas::commit {
namespace {

std::string text_of(const TransactionPart& part)
{
	char buffer[GID_SIZE];
	std::fill(std::begin(buffer), std::end(buffer), 'x');
	format_gid(part, buffer);
	return buffer;
}

TEST(Gid, IsWrittenAsDocumented)
{
	EXPECT_EQ(text_of({0, 5, 4711, 800000000000000, 3}), "citus_0_5_4711_800000000000000_3");
}

TEST(Gid, RoundTripsAnyPart)
{
	std::mt19937_64 random(20260101);
	for (int i = 0; i < 100000; i++)
	{
		const TransactionPart part{
			static_cast<GroupId>(random()), static_cast<std::uint32_t>(random()),
			static_cast<std::int32_t>(random()), random(), static_cast<std::uint32_t>(random())};
		TransactionPart read{};
		ASSERT_TRUE(parse_gid(text_of(part).c_str(), &read)) << text_of(part);
		ASSERT_EQ(part, read);
	}
}

TEST(Gid, FitsTheExtremes)
{
	const TransactionPart part{
		std::numeric_limits<GroupId>::min(), std::numeric_limits<std::uint32_t>::max(),
		std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::uint64_t>::max(),
		std::numeric_limits<std::uint32_t>::max()};
	TransactionPart read{};
	EXPECT_LT(text_of(part).size(), static_cast<std::size_t>(GID_SIZE));
	EXPECT_TRUE(parse_gid(text_of(part).c_str(), &read));
	EXPECT_EQ(part, read);
}

TEST(Gid, RefusesWhatItDidNotWrite)
{
	for (const char *text : {"",
							 "citus",
							 "citus_",
							 "citus_1",
							 "citus_1_2_3_4",
							 "citus_1_2_3_4_",
							 "citus_1_2_3_4_5_",
							 "citus_1_2_3_4_5_6",
							 "citus_1_2_3_4_5 ",
							 " citus_1_2_3_4_5",
							 "citus_01_2_3_4_5",
							 "citus_+1_2_3_4_5",
							 "citus_1_-2_3_4_5",
							 "citus_1_2_3_99999999999999999999_5",
							 "citus_1_2_3_4_x",
							 "CITUS_1_2_3_4_5",
							 "citus_1__3_4_5",
							 "citus_99999999999_2_3_4_5",
							 "citus_-0_2_3_4_5",
							 "mine"})
	{
		TransactionPart read{};
		EXPECT_FALSE(parse_gid(text, &read)) << text;
	}
}

/* Any single byte changed in a valid gid is either refused or reads as what it then says. */
TEST(Gid, NeverReadsTwoNamesAsOne)
{
	const std::string valid = text_of({1, 16384, 12345, 812345678901234, 7});
	for (std::size_t at = 0; at < valid.size(); at++)
	{
		for (int byte = 1; byte < 256; byte++)
		{
			std::string changed = valid;
			changed[at] = static_cast<char>(byte);
			TransactionPart read{};
			if (parse_gid(changed.c_str(), &read))
			{
				EXPECT_EQ(text_of(read), changed);
			}
		}
	}
}

TEST(Recovery, LeavesWhatIsForeignOrRunning)
{
	for (const bool recorded : {false, true})
	{
		EXPECT_EQ(decide({false, false, recorded}), Outcome::Leave);
		EXPECT_EQ(decide({false, true, recorded}), Outcome::Leave);
		EXPECT_EQ(decide({true, true, recorded}), Outcome::Leave);
	}
}

TEST(Recovery, TheRecordDecides)
{
	EXPECT_EQ(decide({true, false, true}), Outcome::Commit);
	EXPECT_EQ(decide({true, false, false}), Outcome::RollBack);
}

} // namespace
} // namespace civitas::commit
