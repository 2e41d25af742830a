/* SPDX-License-Identifier: MIT */
/* Reading the control data of a datagram. */
#ifndef NORIA_NET_CONTROL_H
#define NORIA_NET_CONTROL_H

#include <noria/datagram.h>

/* The size of its segments (UDP_GRO), or 0. */
unsigned noria_control_segment(const struct noria_datagram *datagram);

#endif
