/*
 * wait_graph.cpp: the search for cycles of waits.
 *
 * Strongly connected components (Tarjan's algorithm, with a stack of its own: chains of waits may
 * be long); in each that has a cycle the youngest transaction is taken out, and the rest searched
 * again.
 */
#include "civitas/commit/wait_graph.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

namespace civitas::commit {

namespace {

struct Vertex
{
	std::int64_t name = 0;
	std::uint64_t number = 0;
	std::int64_t stamp = 0;
	bool outside = false; /* waits, and is in no distributed transaction */
	std::vector<int> targets;
	bool removed = false;
};

using Graph = std::vector<Vertex>;

auto key_of(const WaitEdge& edge)
{
	const auto end = [](const Waiter& one) {
		return std::tuple(one.vertex, one.initiator, one.number, one.stamp);
	};
	return std::tuple(end(edge.waiting), end(edge.blocking), edge.start);
}

bool before(const WaitEdge& left, const WaitEdge& right)
{
	return key_of(left) < key_of(right);
}

std::vector<WaitEdge> in_both(std::span<const WaitEdge> first, std::span<const WaitEdge> second)
{
	std::vector<WaitEdge> left(first.begin(), first.end());
	std::vector<WaitEdge> right(second.begin(), second.end());
	std::sort(left.begin(), left.end(), before);
	std::sort(right.begin(), right.end(), before);
	std::vector<WaitEdge> common;
	std::set_intersection(left.begin(), left.end(), right.begin(), right.end(),
						  std::back_inserter(common), before);
	return common;
}

class Builder
{
public:
	explicit Builder(const std::vector<WaitEdge>& edges)
	{
		for (const WaitEdge& edge : edges)
		{
			const int waiting = vertex(edge.waiting);
			if (edge.waiting.number == 0)
				graph_[waiting].outside = true;
			vertex(edge.blocking);
		}
		for (Vertex& vertex : graph_)
			if (vertex.outside)
				vertex.number = 0;
		for (const WaitEdge& edge : edges)
			if (runs(edge.waiting) && runs(edge.blocking))
				add(edge);
	}

	Graph take()
	{
		for (Vertex& vertex : graph_)
		{
			std::sort(vertex.targets.begin(), vertex.targets.end());
			vertex.targets.erase(std::unique(vertex.targets.begin(), vertex.targets.end()),
								 vertex.targets.end());
		}
		return std::move(graph_);
	}

private:
	/* What an earlier transaction of the backend, or of one before it with the same process id, has
	 * left prepared waits for nobody: recovery ends it. A backend that waits outside of any
	 * distributed transaction is in none by its own word, for no other has its name. */
	bool runs(const Waiter& waiter)
	{
		const Vertex& vertex = graph_[index(waiter.vertex)];
		return waiter.number == 0 || waiter.number == vertex.number;
	}

	void add(const WaitEdge& edge)
	{
		const int from = vertex(edge.waiting);
		const int to = vertex(edge.blocking);
		/* Outside of a transaction a session gives up its locks by itself. */
		if (from != to || graph_[from].number != 0)
			graph_[from].targets.push_back(to);
		if (edge.waiting.initiator != edge.waiting.vertex)
			graph_[index(edge.waiting.initiator)].targets.push_back(from);
	}

	int index(std::int64_t name)
	{
		const auto [place, added] = places_.try_emplace(name, static_cast<int>(graph_.size()));
		if (added)
		{
			graph_.emplace_back();
			graph_.back().name = name;
		}
		return place->second;
	}

	int vertex(const Waiter& waiter)
	{
		const int place = index(waiter.vertex);
		Vertex& vertex = graph_[place];
		/* A node that was not told knows less; of two transactions the later one runs now. */
		if (waiter.number > vertex.number)
		{
			vertex.number = waiter.number;
			vertex.stamp = waiter.stamp;
		}
		/* It may have said later that it gives way before all others. */
		if (waiter.number == vertex.number)
			vertex.stamp = std::max(vertex.stamp, waiter.stamp);
		return place;
	}

	Graph graph_;
	std::map<std::int64_t, int> places_;
};

/* The components that hold a cycle, of what is not removed. */
class Components
{
public:
	explicit Components(const Graph& graph)
		: graph_(graph), order_(graph.size(), -1), low_(graph.size(), 0), open_(graph.size(), false)
	{
		for (int i = 0; i < static_cast<int>(graph.size()); i++)
		{
			if (!graph[i].removed && order_[i] < 0)
				visit(i);
		}
	}

	std::vector<std::vector<int>> cyclic;

private:
	struct Frame
	{
		int vertex;
		std::size_t next;
	};

	void enter(int vertex)
	{
		order_[vertex] = low_[vertex] = count_++;
		stack_.push_back(vertex);
		open_[vertex] = true;
		frames_.push_back({vertex, 0});
	}

	void visit(int root)
	{
		enter(root);
		while (!frames_.empty())
		{
			const int at = frames_.back().vertex;
			if (frames_.back().next == graph_[at].targets.size())
			{
				frames_.pop_back();
				if (!frames_.empty())
				{
					const int parent = frames_.back().vertex;
					low_[parent] = std::min(low_[parent], low_[at]);
				}
				if (low_[at] == order_[at])
					close(at);
				continue;
			}
			const int target = graph_[at].targets[frames_.back().next++];
			if (graph_[target].removed)
				continue;
			if (order_[target] < 0)
				enter(target);
			else if (open_[target])
				low_[at] = std::min(low_[at], order_[target]);
		}
	}

	void close(int root)
	{
		std::vector<int> component;
		int member;
		do
		{
			member = stack_.back();
			stack_.pop_back();
			open_[member] = false;
			component.push_back(member);
		} while (member != root);
		const std::vector<int>& targets = graph_[root].targets;
		if (component.size() > 1 || std::binary_search(targets.begin(), targets.end(), root))
			cyclic.push_back(std::move(component));
	}

	const Graph& graph_;
	std::vector<int> order_;
	std::vector<int> low_;
	std::vector<bool> open_;
	std::vector<int> stack_;
	std::vector<Frame> frames_;
	int count_ = 0;
};

/* The youngest distributed transaction among them; -1: there is none. */
int youngest(const Graph& graph, const std::vector<int>& component)
{
	int found = -1;
	for (const int i : component)
	{
		if (graph[i].number != 0 &&
			(found < 0 || std::tuple(graph[i].stamp, graph[i].name) >
							  std::tuple(graph[found].stamp, graph[found].name)))
			found = i;
	}
	return found;
}

} // namespace

int find_victims(std::span<const WaitEdge> first, std::span<const WaitEdge> second,
				 std::span<Victim> out)
{
	Graph graph = Builder(in_both(first, second)).take();

	std::vector<Victim> victims;
	for (bool again = true; again;)
	{
		again = false;
		for (const std::vector<int>& component : Components(graph).cyclic)
		{
			const int victim = youngest(graph, component);
			if (victim < 0)
				continue;
			graph[victim].removed = true;
			victims.push_back({graph[victim].name, graph[victim].number});
			again = true;
		}
	}
	std::sort(victims.begin(), victims.end(),
			  [](const Victim& left, const Victim& right) { return left.vertex < right.vertex; });
	std::copy_n(victims.begin(), std::min(victims.size(), out.size()), out.begin());
	return static_cast<int>(victims.size());
}

} // namespace civitas::commit
