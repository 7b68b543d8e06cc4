/*
 * own_parts.h: parts of objects of every node that only this node has.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

struct OwnParts
{
	List *parts;		 /* of this node alone: ObjectAddresses */
	ObjectAddress named; /* the part that the statement names, if it is there */
};

/* Of the objects that the statement changes, before it runs. */
OwnParts note_own_parts(Node *statement, List *objects);
/*
 * After it: whether it was about parts of this node alone, so that other nodes have nothing to do
 * with it; they lose then what they had in the part's place. 0A000 where it changes more than that.
 */
bool concerns_own_parts(Node *statement, List *objects, const OwnParts& before);

} // namespace civitas::ddl
