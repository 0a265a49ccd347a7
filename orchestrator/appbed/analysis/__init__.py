"""Analysis of captures: bytes in, frozen records out; nothing here touches a network, a container or the clock.

    from appbed.analysis import Capture

    capture = Capture.open("capture.pcapng")             # path or bytes; pcap or pcapng; CaptureError if neither
    capture.points                                       # (Point(name="host:client:eth0", address=..., dropped=0), ...)
    capture.drops                                        # lost by the capturers, all points; None: nobody says
    capture.faults                                       # what could not be read, one line each; () is sound

    for packet in capture.packets(point="host:client"):  # a Sequence in order of time; packet.number is Wireshark's
        packet.time_s, packet.source, packet.destination, packet.protocol, packet.tcp_flags, packet.payload

    for connection in capture.connections(point="host:client"):
        connection.client, connection.server             # Endpoint(host, port)
        connection.handshake_s                           # one RTT, at whichever point; None without SYN
        connection.from_client.data                      # bytes in order; .gaps, len(), .read(a, b), .seen_s(offset)
        connection.retransmissions, connection.out_of_order, connection.damaged
        connection.closed_by, connection.closed_how      # "client" | "server" | "", "fin" | "reset" | ""

    for transaction in capture.dns(point="host:dns_local"):
        transaction.name, transaction.type, transaction.rcode, transaction.retransmissions, transaction.duration_s
        transaction.query.header                         # raw 12 bytes
        transaction.response.answer                      # (DnsRecord(name, value, type, ttl_s), ...)
    capture.dns_messages(point="host:dns_local")         # message by message, in order of time

    for exchange in capture.http(point="host:client"):
        exchange.request.method, exchange.request.url, exchange.request.header("Cookie")
        exchange.response.status, exchange.response.body
        exchange.start_s, exchange.end_s, exchange.connection, exchange.number

    capture.smtp()                                       # SmtpDialogue: .verbs, .commands, .messages (.email)
    capture.pop3(), capture.imap()                       # sessions with .commands, .phases / .states, .deleted ...
    capture.announces(), capture.bittorrent()            # tracker announces; sessions of peers: .of("piece")
    capture.tls()                                        # names and versions of the hellos, .certificate, .alerts

    capture.once(capture.http())                         # each conversation at one point: its client's, if captured at
    capture.passages("host:client", "network:campus")    # packet by packet: .delay_s, .lost, .copies
    analyze(capture).tables                              # flows, protocols, round trips ...: .text(), .as_json()
    ladder.draw(capture, ("dns",), known={"10.77.3.1": "root"})  # a Ladder, for ladder_text.text, ladder_svg.html

Every record has `point`, `client`, `server`, `start_s` and `end_s` (seconds since 1970, float); a packet and a single
DNS message have `point`, `time_s`, `source` and `destination`.
A method without `point` gives the records of every point, so a conversation seen at three points appears three times.
Packets a link damaged (wrong checksum) are counted, `Connection.damaged`, and otherwise ignored, as their receiver did.
"""

from appbed.analysis.analyze import Analysis, Table, analyze
from appbed.analysis.bittorrent import PeerMessage, PeerSession
from appbed.analysis.capture import Capture
from appbed.analysis.certificates import Certificate, certificate
from appbed.analysis.dns import DnsTransaction
from appbed.analysis.dns_message import DnsMessage, Question
from appbed.analysis.dns_plain import DnsRecord
from appbed.analysis.http import HttpExchange
from appbed.analysis.http_message import HttpRequest, HttpResponse
from appbed.analysis.imap import ImapCommand, ImapResponse, ImapSession
from appbed.analysis.ladder import Arrow, Ladder
from appbed.analysis.packets import Packet, Packets
from appbed.analysis.pcap import Point
from appbed.analysis.pop3 import Pop3Command, Pop3Reply, Pop3Session
from appbed.analysis.smtp import SmtpCommand, SmtpDialogue, SmtpMessage, SmtpReply
from appbed.analysis.stream import Stream
from appbed.analysis.tcp import Connection, Endpoint
from appbed.analysis.timeline import Passage
from appbed.analysis.tls import TlsAlert, TlsHandshake
from appbed.analysis.tracker import TrackerAnnounce

__all__ = [
    "Analysis", "Arrow", "Capture", "Certificate", "Connection", "DnsMessage", "DnsRecord", "DnsTransaction", "Endpoint",
    "HttpExchange", "HttpRequest", "HttpResponse", "ImapCommand", "ImapResponse", "ImapSession", "Ladder", "Packet",
    "Packets", "Passage", "PeerMessage", "PeerSession", "Point", "Pop3Command", "Pop3Reply", "Pop3Session", "Question",
    "SmtpCommand", "SmtpDialogue", "SmtpMessage", "SmtpReply", "Stream", "Table", "TlsAlert", "TlsHandshake",
    "TrackerAnnounce", "analyze", "certificate",
]  # fmt: skip
