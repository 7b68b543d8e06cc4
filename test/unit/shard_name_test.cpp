/*
 * shard_name_test.cpp: whatever a relation is called, its shard is the one whose digits it ends in, or none.
 */
#include "civitas/shard/shard_name.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace civitas::shard {
namespace {

TEST(ShardName, EndsInTheId)
{
	EXPECT_EQ(id_in_name("users_102008"), 102008);
	EXPECT_EQ(id_in_name("_1"), 1);
	EXPECT_EQ(id_in_name("a_2_3"), 3);
	EXPECT_EQ(id_in_name("t_9223372036854775807"), std::numeric_limits<ShardId>::max());
}

TEST(ShardName, OtherNamesHaveNone)
{
	for (const char *name : {"", "_", "users", "users_", "users_0", "users_01", "users_-1",
							 "users_+1", "users_1a", "users_ 1", "users_1 ", "102008", "t_1_",
							 "t_9223372036854775808", "t_99999999999999999999999999999999999"})
		EXPECT_EQ(id_in_name(name), INVALID_SHARD_ID) << name;
	EXPECT_EQ(id_in_name(std::string_view("t_1\0", 4)), INVALID_SHARD_ID);
}

TEST(ShardName, RoundTrips)
{
	std::mt19937_64 random(20260101);
	for (int i = 0; i < 100000; i++)
	{
		const auto id = static_cast<ShardId>(random() >> (1 + random() % 62));
		if (id > 0)
		{
			ASSERT_EQ(id_in_name("any_name_" + std::to_string(id)), id);
		}
	}
}

/* Of any bytes: what is read is what is written there. The text ends where its memory ends. */
TEST(ShardName, ReadsNothingElse)
{
	static constexpr std::string_view BYTES = "__0123456789a-+ \xc3";
	std::mt19937_64 random(20260102);
	for (int i = 0; i < 300000; i++)
	{
		std::string name(random() % 30, '\0');
		for (char& byte : name)
			byte = BYTES[random() % BYTES.size()];
		const std::string exact(name.begin(), name.end());
		const ShardId id = id_in_name({exact.data(), exact.size()});
		ASSERT_GE(id, INVALID_SHARD_ID);
		if (id != INVALID_SHARD_ID)
		{
			ASSERT_TRUE(exact.ends_with("_" + std::to_string(id))) << exact;
		}
	}
}

} // namespace
} // namespace civitas::shard
