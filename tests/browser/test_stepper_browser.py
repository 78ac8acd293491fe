def test_look(lab):
    from playwright.sync_api import expect
    nb = lab.open(
     "import nasworkbench as nw\nfrom nasworkbench.widgets.stepper import ControllerStepper\n"
     "controller = nw.PPO(nw.CellSpace(), seed=0)",
     "stepper = ControllerStepper(controller)\nstepper",
     "ControllerStepper(nw.PPO(nw.GraphSpace()))")
    nb.run(0); nb.run(1)
    expect(nb.root.get_by_role("button", name="Forward")).to_be_visible()
    nb.root.get_by_text("number 1 of 50").wait_for()
    nb.page.screenshot(path="/tmp/st_w0.png")
    nb.root.get_by_role("button", name="To end").click()
    nb.root.get_by_text("number 50 of 50").wait_for()
    nb.root.get_by_role("button", name="Forward").click()
    nb.root.get_by_text("this is the last decision").wait_for()
    nb.page.screenshot(path="/tmp/st_w1.png")
    nb.root.get_by_role("button", name="Show all decisions").click()
    nb.page.wait_for_timeout(1500)
    nb.dark()
    for _ in range(13): nb.root.get_by_role("button", name="Back").click()
    nb.root.get_by_text("number 37 of 50").wait_for()
    nb.page.screenshot(path="/tmp/st_w2.png")
    nb.run(2)
    nb.page.wait_for_timeout(1000)
    nb.page.screenshot(path="/tmp/st_w3.png")
