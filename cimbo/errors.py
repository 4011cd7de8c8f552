"""The one exception a user meets: a single line that says where, what is wrong and what to do."""


class BadInput(ValueError):
    """Input cimbo cannot work with. ``str(error)`` is the whole line ``where: what is wrong; what to do``.

    The command line prints that line to stderr and exits with code 2.
    """

    def __init__(self, where: object, what: str, todo: str) -> None:
        self.where, self.what, self.todo = str(where), what, todo
        super().__init__(f"{self.where}: {what}; {todo}".replace("\n", " "))
