/*
 * secret.h: what the nodes of a cluster know and nobody else does.
 */
#pragma once

#include <cstdint>

namespace civitas {

inline constexpr int SECRET_SIZE = 32;

struct Secret
{
	std::uint8_t bytes[SECRET_SIZE];
};

} // namespace civitas
