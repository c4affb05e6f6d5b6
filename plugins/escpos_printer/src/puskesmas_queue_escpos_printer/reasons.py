"""Why something was not printed, or may not have been."""

from enum import StrEnum


class Reason(StrEnum):
    """A cause, as stored with jobs and printers; `WORDS` has it in people's words."""

    # Before the printer was reached
    NO_PRINTER = "no_printer"
    """No printer is set up for the place."""
    ENCODING = "encoding"
    """The paper could not be laid out."""
    NO_TABLES = "no_tables"
    """The plugin's tables cannot be reached, so that nobody would know what was printed."""
    BUSY = "busy"
    """Another job had the printer all the time."""
    LATE = "late"
    """The time to begin had passed."""
    UNKNOWN_HOST = "unknown_host"
    UNREACHABLE = "unreachable"
    """Nobody answers at the address: off, or the network is away."""
    REFUSED = "refused"
    """The machine is there and takes no print jobs: starting, or busy with another computer."""
    NO_DEVICE = "no_device"
    """The cable or adapter is not plugged in, or has another name."""
    NO_PERMISSION = "no_permission"
    """The server's account may not write to the device."""
    IN_USE = "in_use"
    """Another program has the device."""
    NOT_HERE = "not_here"
    """This kind of connection does not exist on this operating system."""
    NO_PROGRAM = "no_program"
    """CUPS is not installed."""
    NO_QUEUE = "no_queue"
    """CUPS has no such queue."""
    QUEUE_PAUSED = "queue_paused"
    NOT_TAKEN = "not_taken"
    """CUPS refused the job."""

    # What the printer says
    NO_PAPER = "no_paper"
    COVER_OPEN = "cover_open"
    PRINTER_ERROR = "printer_error"
    """Cutter jammed, or something else that the printer's lamp tells."""
    OFFLINE = "offline"

    # What it does not say
    SILENT = "silent"
    """It was reached and does not answer."""
    GARBAGE = "garbage"
    """What it answers is no answer of such a printer."""
    CANNOT_TELL = "cannot_tell"
    """The connection goes one way only."""

    # While it printed
    LOST = "lost"
    """The connection broke."""
    STALLED = "stalled"
    """It stopped taking what was sent."""
    NO_ANSWER = "no_answer"
    """Everything was sent and the printer did not say that it is out."""
    STILL_PRINTING = "still_printing"
    INTERRUPTED = "interrupted"
    """The server ended while it printed."""

    # It is out
    NEAR_END = "near_end"
    """The roll is nearly at its end."""
    SPARE_PRINTER = "spare_printer"
    """The printer that should have printed it could not."""
    BY_HAND = "by_hand"
    """Staff said that the paper is out."""

    @property
    def words(self) -> str:
        """For logs, in English."""
        return self.value.replace("_", " ")


PASSING = frozenset({Reason.BUSY, Reason.REFUSED, Reason.LOST, Reason.IN_USE})
"""Worth another try within seconds, as long as nothing was printed."""

WORDS: dict[Reason, str] = {
    Reason.NO_PRINTER: "belum ada printer untuk tempat ini",
    Reason.ENCODING: "bentuk slip bermasalah",
    Reason.NO_TABLES: "data printer tidak bisa dibaca",
    Reason.BUSY: "printer sedang dipakai",
    Reason.LATE: "printer terlalu lama dipakai",
    Reason.UNKNOWN_HOST: "alamat printer tidak dikenal",
    Reason.UNREACHABLE: "printer mati atau tidak tersambung",
    Reason.REFUSED: "printer mati atau menolak sambungan",
    Reason.NO_DEVICE: "kabel printer tidak terpasang",
    Reason.NO_PERMISSION: "server tidak boleh memakai kabel printer",
    Reason.IN_USE: "printer dipakai program lain",
    Reason.NOT_HERE: "sambungan ini tidak ada di Windows",
    Reason.NO_PROGRAM: "CUPS belum terpasang",
    Reason.NO_QUEUE: "antrean CUPS tidak ada",
    Reason.QUEUE_PAUSED: "antrean CUPS sedang dihentikan",
    Reason.NOT_TAKEN: "CUPS menolak cetakan",
    Reason.NO_PAPER: "kertas habis",
    Reason.COVER_OPEN: "tutup printer terbuka",
    Reason.PRINTER_ERROR: "printer macet atau rusak",
    Reason.OFFLINE: "printer tidak siap",
    Reason.SILENT: "printer tidak menjawab",
    Reason.GARBAGE: "jawaban printer tidak dikenal",
    Reason.CANNOT_TELL: "printer tidak bisa memberi kabar",
    Reason.LOST: "sambungan printer terputus",
    Reason.STALLED: "printer berhenti menerima",
    Reason.NO_ANSWER: "printer tidak memberi kabar setelah mencetak",
    Reason.STILL_PRINTING: "printer masih mencetak",
    Reason.INTERRUPTED: "server berhenti saat mencetak",
    Reason.NEAR_END: "kertas hampir habis",
    Reason.SPARE_PRINTER: "dicetak di printer cadangan",
    Reason.BY_HAND: "kertasnya dilihat petugas",
}
"""What staff read; looked up in the plugin's catalogues."""
