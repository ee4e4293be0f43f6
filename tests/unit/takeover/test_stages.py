import pytest

from domain.takeover.stages import Stage, StageCommand, TakeoverRefused, next_stage

NEXT = {
    (StageCommand.OPEN, Stage.LOOK): Stage.OPEN,
    (StageCommand.OPEN, Stage.OPEN): Stage.OPEN,
    (StageCommand.OPEN, Stage.ADOPT): Stage.ADOPT,
    (StageCommand.OPEN, Stage.BACK): Stage.OPEN,
    (StageCommand.ADOPT, Stage.OPEN): Stage.ADOPT,
    (StageCommand.ADOPT, Stage.ADOPT): Stage.ADOPT,
    (StageCommand.ADOPT, Stage.FINISHED): Stage.ADOPT,
    (StageCommand.BACK, Stage.OPEN): Stage.BACK,
    (StageCommand.BACK, Stage.ADOPT): Stage.BACK,
    (StageCommand.BACK, Stage.BACK): Stage.BACK,
    (StageCommand.FINISH, Stage.LOOK): Stage.LOOK,
    (StageCommand.FINISH, Stage.OPEN): Stage.FINISHED,
    (StageCommand.FINISH, Stage.ADOPT): Stage.FINISHED,
    (StageCommand.FINISH, Stage.BACK): Stage.LOOK,
    (StageCommand.FINISH, Stage.FINISHED): Stage.FINISHED,
}
"""Every other pair is refused."""


@pytest.mark.parametrize("command", StageCommand)
@pytest.mark.parametrize("stage", Stage)
def test_a_command_leads_to_its_stage_or_is_refused_with_advice(command: StageCommand, stage: Stage) -> None:
    expected = NEXT.get((command, stage))
    if expected is not None:
        assert next_stage(command, stage) is expected
        return
    with pytest.raises(TakeoverRefused, match=rf"`takeover {command}` does not run in the stage {stage}\. \S"):
        next_stage(command, stage)


@pytest.mark.parametrize(("command", "stage"), NEXT)
def test_a_command_that_ran_can_be_repeated(command: StageCommand, stage: Stage) -> None:
    assert next_stage(command, next_stage(command, stage)) is next_stage(command, stage)
