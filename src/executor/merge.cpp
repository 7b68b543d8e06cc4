/*
 * merge.cpp: tasks that return sorted rows, merged into one sorted stream.
 *
 * A session runs its tasks one after the other, so the rows of each task are put aside as they
 * come, in their order: a run. Runs are kept in memory, work_mem together; when that is full, what
 * is there is appended to a file for each run. When the last task is done, a heap of the runs'
 * first rows gives out the smallest, over and over. So nothing is sorted here, and what is in
 * memory is work_mem and a file buffer and a row for each run.
 */
#include "execution.h"

#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
CIVITAS_PG_END

namespace civitas::executor {

/* The rows of one task: those in the file come first. */
struct Run
{
	pg::Vec<MinimalTuple> *rows;
	BufFile *file;
	int64 rows_in_file;
	int64 read; /* of all, while merging */
	MinimalTuple buffer;
	uint32 buffer_size;
	/* The row that is in the heap. */
	Datum *values;
	bool *nulls;
};

struct Merge
{
	Execution *execution;
	MemoryContext rows_context; /* rows in memory */
	int key_count;
	AttrNumber *columns;
	SortSupportData *keys;
	int run_count;
	Run *runs;
	binaryheap *heap; /* null until all tasks are done */
	int last;		  /* run whose row was given out last, or -1 */
};

namespace {

int compare_runs(Datum left, Datum right, void *argument)
{
	const Merge *merge = static_cast<const Merge *>(argument);
	const Run& a = merge->runs[DatumGetInt32(left)];
	const Run& b = merge->runs[DatumGetInt32(right)];
	for (int key = 0; key < merge->key_count; key++)
	{
		const int column = merge->columns[key] - 1;
		const int order = ApplySortComparator(a.values[column], a.nulls[column], b.values[column],
											  b.nulls[column], &merge->keys[key]);
		if (order != 0)
			return -order; /* the heap gives out the largest */
	}
	return DatumGetInt32(left) < DatumGetInt32(right) ? 1 : -1;
}

/* Everything that is in memory goes to the runs' files. */
void spill(Merge *merge)
{
	MemoryContext old = MemoryContextSwitchTo(merge->execution->context);
	ResourceOwner current = CurrentResourceOwner;
	CurrentResourceOwner = merge->execution->owner;
	for (int index = 0; index < merge->run_count; index++)
	{
		Run& run = merge->runs[index];
		if (run.rows == nullptr || run.rows->empty())
			continue;
		if (run.file == nullptr)
			run.file = BufFileCreateTemp(false);
		for (MinimalTuple row : *run.rows)
			BufFileWrite(run.file, row, row->t_len);
		run.rows_in_file += run.rows->size();
		run.rows->clear();
	}
	CurrentResourceOwner = current;
	MemoryContextSwitchTo(old);
	MemoryContextReset(merge->rows_context);
}

void read_fully(BufFile *file, void *to, size_t size)
{
	if (BufFileRead(file, to, size) != size)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not read a temporary file")));
}

MinimalTuple read_row(Merge *merge, Run& run)
{
	uint32 length;
	read_fully(run.file, &length, sizeof(length));
	if (length > run.buffer_size)
	{
		if (run.buffer)
			pfree(run.buffer);
		run.buffer = static_cast<MinimalTuple>(
			MemoryContextAllocHuge(merge->execution->context, length * size_t{2}));
		run.buffer_size = length * 2;
	}
	run.buffer->t_len = length;
	read_fully(run.file, reinterpret_cast<char *>(run.buffer) + sizeof(length),
			   length - sizeof(length));
	return run.buffer;
}

/* The run's next row; false at its end. */
bool advance(Merge *merge, Run& run)
{
	MinimalTuple row;
	if (run.read < run.rows_in_file)
		row = read_row(merge, run);
	else if (run.rows != nullptr && run.read - run.rows_in_file < run.rows->size())
		row = (*run.rows)[static_cast<int>(run.read - run.rows_in_file)];
	else
		return false;
	run.read++;
	HeapTupleData tuple;
	tuple.t_len = row->t_len + MINIMAL_TUPLE_OFFSET;
	tuple.t_data =
		reinterpret_cast<HeapTupleHeader>(reinterpret_cast<char *>(row) - MINIMAL_TUPLE_OFFSET);
	heap_deform_tuple(&tuple, merge->execution->row_type, run.values, run.nulls);
	return true;
}

void begin_giving_out(Merge *merge)
{
	MemoryContext old = MemoryContextSwitchTo(merge->execution->context);
	const int columns = merge->execution->row_type->natts;
	merge->heap = binaryheap_allocate(merge->run_count, compare_runs, merge);
	for (int index = 0; index < merge->run_count; index++)
	{
		Run& run = merge->runs[index];
		if (run.rows == nullptr)
			continue;
		run.values = static_cast<Datum *>(palloc(sizeof(Datum) * (columns + 1)));
		run.nulls = static_cast<bool *>(palloc(sizeof(bool) * (columns + 1)));
		if (run.file && BufFileSeek(run.file, 0, 0, SEEK_SET) != 0)
			ereport(ERROR,
					(errcode_for_file_access(), errmsg("could not rewind a temporary file")));
		if (advance(merge, run))
			binaryheap_add_unordered(merge->heap, Int32GetDatum(index));
	}
	binaryheap_build(merge->heap);
	MemoryContextSwitchTo(old);
}

} // namespace

Merge *begin_merge(Execution *execution)
{
	const plan::RemoteQuery *query = execution->query;
	Merge *merge = static_cast<Merge *>(palloc0(sizeof(Merge)));
	merge->execution = execution;
	merge->rows_context =
		AllocSetContextCreate(execution->context, "Civitas merge", ALLOCSET_DEFAULT_SIZES);
	merge->key_count = list_length(query->merge_columns);
	merge->columns = static_cast<AttrNumber *>(palloc(sizeof(AttrNumber) * merge->key_count));
	merge->keys =
		static_cast<SortSupportData *>(palloc0(sizeof(SortSupportData) * merge->key_count));
	for (int key = 0; key < merge->key_count; key++)
	{
		SortSupport support = &merge->keys[key];
		merge->columns[key] = static_cast<AttrNumber>(list_nth_int(query->merge_columns, key));
		support->ssup_cxt = execution->context;
		support->ssup_collation = list_nth_oid(query->merge_collations, key);
		support->ssup_nulls_first = list_nth_int(query->merge_nulls_first, key) != 0;
		support->ssup_attno = merge->columns[key];
		PrepareSortSupportFromOrderingOp(list_nth_oid(query->merge_operators, key), support);
	}
	merge->run_count = execution->tasks.size();
	merge->runs = static_cast<Run *>(MemoryContextAllocExtended(
		execution->context, sizeof(Run) * merge->run_count, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
	merge->last = -1;
	return merge;
}

void merge_add(Merge *merge, int task, Datum *values, bool *nulls)
{
	Run& run = merge->runs[task];
	MemoryContext old = MemoryContextSwitchTo(merge->execution->context);
	if (run.rows == nullptr)
	{
		run.rows = static_cast<pg::Vec<MinimalTuple> *>(palloc(sizeof(pg::Vec<MinimalTuple>)));
		*run.rows = pg::Vec<MinimalTuple>(merge->execution->context);
	}
	if (MemoryContextMemAllocated(merge->rows_context, false) > work_mem * Size{1024})
		spill(merge);
	MemoryContextSwitchTo(merge->rows_context);
	MinimalTuple row = pg::form_minimal_tuple(merge->execution->row_type, values, nulls);
	MemoryContextSwitchTo(old);
	run.rows->push(row);
}

void end_merge(Merge *merge)
{
	for (int index = 0; index < merge->run_count; index++)
	{
		BufFile *file = merge->runs[index].file;
		merge->runs[index].file = nullptr;
		if (file)
			BufFileClose(file);
	}
}

bool next_merged(Merge *merge, Datum *values, bool *nulls)
{
	Execution *execution = merge->execution;
	if (merge->heap == nullptr)
	{
		while (next_many(execution, values, nulls))
		{
			merge_add(merge, current_task(execution), values, nulls);
			MemoryContextReset(execution->row_context);
		}
		begin_giving_out(merge);
	}
	else if (merge->last >= 0)
	{
		if (advance(merge, merge->runs[merge->last]))
			binaryheap_replace_first(merge->heap, Int32GetDatum(merge->last));
		else
			binaryheap_remove_first(merge->heap);
	}
	if (binaryheap_empty(merge->heap))
		return false;
	merge->last = DatumGetInt32(binaryheap_first(merge->heap));
	const Run& run = merge->runs[merge->last];
	const int columns = execution->row_type->natts;
	memcpy(values, run.values, sizeof(Datum) * columns);
	memcpy(nulls, run.nulls, sizeof(bool) * columns);
	return true;
}

} // namespace civitas::executor
