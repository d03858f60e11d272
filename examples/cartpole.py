"""CartPole in five lines, in this process; without ``backend`` every layer is a Ray actor, with the same result."""

from teamnet import TeamAgent

with TeamAgent("cartpole", backend="local", seed=0) as agent:
    agent.learn(episodes=100)
    agent.save("runs/example")
    print(agent.summary())
