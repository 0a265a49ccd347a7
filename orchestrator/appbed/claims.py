"""The chapter's claims by id: what each says, in one sentence, and the section it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SECTIONS = {
    "A": "Principles of network applications",
    "W": "The Web and HTTP",
    "M": "Electronic mail",
    "D": "The Domain Name System",
    "P": "Peer-to-peer file distribution",
}

SENTENCES = {
    "A1": "The process that begins a session is the client, the one that waits for it the server; a process is addressed by IP "
    "address and port.",
    "A2": "TCP sets up a connection before data flows, carries both directions at once, and loses, doubles or reorders no byte.",
    "A3": "UDP has no handshake, mends nothing, may deliver out of order and does not slow down for others.",
    "A4": "Elastic applications use the rate there is; bandwidth-sensitive ones get the rate they need or are of no use.",
    "A5": "The transport promises nothing about time: delay varies with other traffic.",
    "A6": "Security can be added above the transport: what TLS carries cannot be read, and servers prove who they are.",
    "A7": "Client-server, peer-to-peer and hybrid architectures differ in who serves the bytes.",
    "A8": "An application-layer protocol defines types of messages, their syntax, the meaning of fields, and when what is sent.",
    "W1": "A page is a base HTML file and the objects it refers to, each named by a URL of host and path.",
    "W2": "Non-persistent connections: one TCP connection for each object, two round trips and the transmission for each.",
    "W3": "Non-persistent connections in parallel load several objects in the time of one.",
    "W4": "A persistent connection carries the whole page: one round trip for each object after the first.",
    "W5": "With pipelining, requests do not wait for answers: one round trip for all objects.",
    "W6": "A server closes a persistent connection that has been idle for its time-out.",
    "W7": "A request is a request line, header lines, an empty line and a body: GET, HEAD, POST, PUT, DELETE.",
    "W8": "A response is a status line, header lines and a body: 200, 301, 400, 404, 505.",
    "W9": "HTTP is stateless: a server that is asked twice answers twice.",
    "W10": "Cookies keep state on top: a number given once, sent back in every request, and a row in the site's database.",
    "W11": "A Web cache answers from its copy, else it fetches, keeps and forwards the object.",
    "W12": "A Web cache cuts response time and the traffic of an institution's access link.",
    "W13": "A conditional GET fetches an object only if it has changed.",
    "M1": "Mail goes from the user agent to its server's queue and from there straight to the receiver's server.",
    "M2": "SMTP: greeting, sender, receiver, data and farewell, in this order, each answered by a code.",
    "M3": "While the receiver's server is away the message waits in the sender's queue, is tried again, and is given up at last.",
    "M4": "SMTP connections are persistent: several messages go over one.",
    "M5": "HTTP pulls, SMTP pushes.",
    "M6": "SMTP carries 7-bit ASCII: everything else must be encoded.",
    "M7": "HTTP puts each object into a response of its own, SMTP all objects into one message.",
    "M8": "A message is header lines, of which some are required, an empty line and a body.",
    "M9": "POP3 has three phases, and deletes in the last one only: authorisation, transaction, update.",
    "M10": "IMAP keeps folders and their state on the server, and fetches parts of messages.",
    "M11": "Web mail: HTTP between browser and mail server, SMTP between mail servers.",
    "D1": "A browser takes the host name from the URL, asks DNS for its address, and only then opens a connection.",
    "D2": "A host can have aliases: CNAME leads to its canonical name.",
    "D3": "A mail server can have an alias of its own, so that a company's Web and mail servers share one name.",
    "D4": "DNS spreads load: a name has several addresses, whose order rotates.",
    "D5": "One central server would not do: it would be a single point of failure, busy, far away and hard to maintain.",
    "D6": "Names are resolved down a hierarchy: root, top-level domain, authoritative server, asked in turn.",
    "D7": "A top-level domain may know only a server in between.",
    "D8": "Queries can be recursive: each server asks the next one.",
    "D9": "Answers are cached until their time to live is over.",
    "D10": "Local servers remember the servers of top-level domains, so the root is rarely asked.",
    "D11": "A resource record is name, value, type and time to live; the types are A, NS, CNAME and MX.",
    "D12": "An authoritative server answers with the record; another one names a server to ask, and its address.",
    "D13": "Queries and replies have the same format: identifier, flags, four counts, four sections.",
    "D14": "A registrar makes sure that a name is unique and enters its name servers into the top-level domain.",
    "P1": "Distribution from one server takes longer in proportion to the number of clients.",
    "P2": "Distribution among peers never takes longer than from one server, by its bound, and has a ceiling.",
    "P3": "Peer-to-peer distribution scales by itself: every newcomer brings capacity.",
    "P4": "The peers of a torrent exchange chunks of equal size, and upload while they download.",
    "P5": "A tracker keeps the list of peers and gives a newcomer a random subset.",
    "P6": "A newcomer opens TCP connections to the peers it was given.",
    "P7": "Peers ask for the rarest chunks first, which evens out the copies.",
    "P8": "Peers come and go, and the others still get the file.",
    "P9": "Peers trade: they upload to those who upload most to them, and to one more by chance.",
}


def sentence(claim: str) -> str:
    """What a claim says; "" for one that is not the chapter's."""
    return SENTENCES.get(claim, "")


def section(claims: Iterable[str]) -> str:
    """The letter of the section all of them belong to; "" where there is none, or more than one."""
    letters = {claim[:1] for claim in claims}
    return letters.pop() if len(letters) == 1 and letters <= set(SECTIONS) else ""


def order(claims: Sequence[str]) -> tuple[int, list[int]]:
    """A key to sort by: section by section as the chapter has them, W10 after W9; what is of no section or of several comes last."""
    place = [*SECTIONS, ""].index(section(claims))
    return place, [int(claim[1:]) if claim[1:].isascii() and claim[1:].isdigit() else 0 for claim in claims]
