/* SPDX-License-Identifier: MIT */
/* Packets: messages that keep their bounds. Those of usual size are used again. */
#include "simulation/net/socket.h"

#include <stdlib.h>
#include <string.h>

struct sim_packet *sim_packet_new(struct sim_net *net, size_t size)
{
	size_t room = size > SIM_PACKET_ROOM ? size : SIM_PACKET_ROOM;
	struct list *idle = size > SIM_PACKET_ROOM ? NULL : list_pop_front(&net->packets_idle);
	struct sim_packet *packet = idle ? list_entry(idle, struct sim_packet, node) : malloc(sizeof *packet + room);

	if (!packet)
		return NULL;
	memset(packet, 0, sizeof *packet);
	packet->size = size;
	packet->room = room;
	list_init(&packet->node);
	return packet;
}

void sim_packet_free(struct sim_net *net, struct sim_packet *packet)
{
	list_remove(&packet->node);
	for (unsigned i = 0; i < packet->files_count; i++)
		sim_file_unref(packet->files[i]);
	free(packet->files);
	if (packet->name)
		sim_name_unref(net, packet->name);
	if (packet->room == SIM_PACKET_ROOM)
		list_push_front(&net->packets_idle, &packet->node);
	else
		free(packet);
}

static void free_all(struct list *packets)
{
	struct list *node;

	while ((node = list_pop_front(packets)))
		free(list_entry(node, struct sim_packet, node));
}

void sim_packets_free(struct sim_net *net)
{
	free_all(&net->packets_flying);
	free_all(&net->packets_idle);
}
